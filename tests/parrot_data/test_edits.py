"""Edits lose, change and invent no episode, name what they were made from, and never touch it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from synthetic import (
    SPEC,
    SPECS,
    files_of,
    filter_params,
    hashes_of,
    shard_params,
    synthetic_episode,
    synthetic_episodes,
    write_raw,
)

from parrot_data.errors import UserError
from parrot_data.filter import filter_episodes
from parrot_data.merge import MergeParams, merge
from parrot_data.select import SelectParams, select
from parrot_data.shard import shard
from parrot_data.split import SplitParams, split
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.kept import load_kept
from parrot_data.stores.manifest import MANIFEST, Manifest, load_any_manifest
from parrot_data.stores.outputs.layout import check_replaceable
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.sources import code_of
from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify
from parrot_data.stores.zarr_store import zarr_of

COUNT = 40
KINDS = ("episodes", "shards")
CODE_OF = cache(code_of)
LAYOUT = shard_params(steps_per_chunk=200, episodes_per_tar=12)  # few files: each is synced


@pytest.fixture(autouse=True)
def _code_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in ("merge", "select", "split", "shard"):
        monkeypatch.setattr(f"parrot_data.{stage}.code_of", CODE_OF)


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Datasets of both kinds and two seeds, KIND-SEED each; not to be touched."""
    folder = tmp_path_factory.mktemp("made")
    for seed in (0, 1):
        dataset(folder, seed)
    return folder


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


def dataset(folder: Path, seed: int, count: int = COUNT, name: str | None = None) -> None:
    name = str(seed) if name is None else name
    raw, kept = folder / f"episodes-{name}", folder / f"kept-{name}"
    write_raw(raw, synthetic_episodes(count, seed), seed=seed)
    filter_episodes(filter_params(), raw, kept)
    shard(LAYOUT, raw, kept, folder / f"shards-{name}")


def hashes_in(folder: Path) -> list[str]:
    """Content hashes of a dataset, once it is certain that it is whole, in all its stores."""
    manifest = verify(folder)
    found = hashes_of(read_episodes(manifest.tar_paths(folder), manifest.spec))
    assert found == [entry.content_hash for entry in manifest.entries(folder)]
    return found


def selected(source: Path, out: Path, where: str) -> Path:
    select(SelectParams(where=where), source, out)
    return out


def split_up(source: Path, out: Path, shares=(0.7, 0.3), seed: int = 0, names=None) -> list[Path]:
    names = names or [str(number) for number in range(len(shares))]
    split(SplitParams(shares=list(shares), names=names, seed=seed), source, out)
    return [out / name for name in names]


def merged(sources: list[Path], out: Path, duplicates="refuse") -> Path:
    merge(MergeParams(duplicates=duplicates), sources, out)
    return out


def kept_of(raw: Path, out: Path) -> list[str]:
    """Content hashes of what filter keeps and shard writes."""
    filter_episodes(filter_params(), raw, out / "kept")
    shard(LAYOUT, raw, out / "kept", out / "shards")
    return hashes_in(out / "shards")


def successes_in(folder: Path) -> list[str]:
    return [e.content_hash for e in load_any_manifest(folder).entries(folder) if e.success]


def test_selecting_everything_gives_the_same_episodes_in_the_same_files(
    made: Path, tmp_path: Path, kind: str
) -> None:
    source = made / f"{kind}-0"
    out = selected(source, tmp_path / "out", "success or not success")
    assert hashes_in(out) == hashes_in(source)
    before, after = files_of(source), files_of(out)
    assert before.pop(MANIFEST) != after.pop(MANIFEST)
    # Cards name the manifest
    assert before.pop("README.md", None) != after.pop("README.md", b"")
    assert before == after


def test_a_selection_is_just_what_was_asked_for_in_order(
    made: Path, tmp_path: Path, kind: str
) -> None:
    source = made / f"{kind}-0"
    out = selected(source, tmp_path / "out", "task == 'pick' and num_steps < 20")
    expected = [
        entry.content_hash
        for entry in load_any_manifest(source).entries(source)
        if entry.task == "pick" and entry.num_steps < 20
    ]
    assert 0 < len(expected) < COUNT
    assert hashes_in(out) == expected


def test_parts_are_disjoint_hold_all_and_merge_to_the_source(
    made: Path, tmp_path: Path, kind: str
) -> None:
    source = made / f"{kind}-0"
    parts = split_up(
        source, tmp_path / "parts", (0.5, 0.3, 0.2), names=["train", "b.1", "held-out"]
    )
    found = [hashes_in(part) for part in parts]
    everything = hashes_in(source)
    assert sorted(each for of_part in found for each in of_part) == sorted(everything)
    for of_part in found:
        assert of_part == [each for each in everything if each in set(of_part)]
    for share, of_part in zip((0.5, 0.3, 0.2), found, strict=True):
        assert abs(len(of_part) - share * len(everything)) <= 1
    out = merged(parts, tmp_path / "whole")
    assert Counter(hashes_in(out)) == Counter(everything)


def test_a_split_is_of_its_seed_alone_and_fair_to_every_task(made: Path, tmp_path: Path) -> None:
    source = made / "episodes-0"
    first = split_up(source, tmp_path / "first")
    again = split_up(source, tmp_path / "again")
    other = split_up(source, tmp_path / "other", seed=1)
    assert files_of(first[0]) == files_of(again[0])
    assert hashes_in(first[0]) != hashes_in(other[0])
    counts = [Counter((e.task, e.success) for e in load_any_manifest(f).entries(f)) for f in
              (source, first[0])]  # fmt: skip
    assert len(counts[0]) == 4
    for stratum, count in counts[0].items():
        assert abs(counts[1][stratum] - 0.7 * count) <= 1.5


def test_datasets_of_two_seeds_merge_though_their_indices_are_the_same(
    made: Path, tmp_path: Path, kind: str
) -> None:
    sources = [made / f"{kind}-{seed}" for seed in (0, 1)]
    out = merged(sources, tmp_path / "out")
    expected = hashes_in(sources[0]) + hashes_in(sources[1])
    assert hashes_in(out) == expected
    manifest = load_any_manifest(out)
    indices = [entry.index for entry in manifest.entries(out)]
    assert len(set(indices)) < len(indices)
    for tar in manifest.tar_paths(out):
        in_tar = [episode.index for episode in read_episodes([tar], manifest.spec)]
        assert in_tar == sorted(set(in_tar))  # or two would be read as one sample
    assert manifest.seed == 0
    assert {parent.seed for parent in manifest.parents} == {0, 1}
    assert [parent.made_with["generate"]["seed"] for parent in manifest.parents] == [0, 1]
    if manifest.kind == "shards":
        assert hashes_of(zarr_of(out, manifest)) == expected
        assert manifest.sources is None


def test_episodes_of_one_index_side_by_side_stay_two(tmp_path: Path) -> None:
    sources = [
        write_raw(tmp_path / str(seed), [synthetic_episode(3, seed)], seed=seed)
        for seed in range(3)
    ]
    out = merged(sources, tmp_path / "out")
    assert hashes_in(out) == [synthetic_episode(3, seed).content_hash() for seed in range(3)]


@pytest.mark.parametrize("spec", [SPECS["two images"], SPECS["privileged of all kinds"]])
def test_what_is_edited_is_filtered_and_sharded_like_any_other(tmp_path: Path, spec) -> None:
    sources = [
        write_raw(tmp_path / str(seed), synthetic_episodes(20, seed, spec), spec, seed=seed)
        for seed in (0, 1)
    ]
    both = merged(sources, tmp_path / "both")
    assert kept_of(both, tmp_path / "of both") == successes_in(both)
    some = selected(both, tmp_path / "some", "num_steps > 4")
    assert kept_of(some, tmp_path / "of some") == successes_in(some)


def test_limits_of_filter_hold_where_indices_are_the_same(made: Path, tmp_path: Path) -> None:
    """One of them may be kept, and the other over the limit."""
    out = merged([made / "episodes-0", made / "episodes-1"], tmp_path / "out")
    params = filter_params(max_episodes_per_task=9)
    filter_episodes(params, out, tmp_path / "kept")
    shard(LAYOUT, out, tmp_path / "kept", tmp_path / "shards")
    expected, counts = [], Counter[str]()
    for entry in load_any_manifest(out).entries(out):
        if entry.success and counts[entry.task] < 9:
            expected.append(entry.content_hash)
            counts[entry.task] += 1
    assert hashes_in(tmp_path / "shards") == expected
    assert sum(load_kept(tmp_path / "kept").is_kept) == len(expected)


def test_training_reads_an_edited_dataset(made: Path, tmp_path: Path) -> None:
    from parrot_models.training.transitions import load_transitions

    out = merged([made / "shards-0", made / "shards-1"], tmp_path / "out")
    some = selected(out, tmp_path / "some", "num_steps > 4")
    transitions = load_transitions(some, tmp_path / "cache")
    episodes = [e for s in (0, 1) for e in synthetic_episodes(COUNT, s) if e.success and
                e.num_steps > 4]  # fmt: skip
    assert np.array_equal(transitions.actions, np.concatenate([e.actions for e in episodes]))


def test_the_same_episode_twice_is_refused_or_kept_once(
    made: Path, tmp_path: Path, kind: str
) -> None:
    source = made / f"{kind}-0"
    some = selected(source, tmp_path / "some", "num_steps < 20")
    count = load_any_manifest(some).num_episodes
    with pytest.raises(UserError, match=rf"^{count} episodes are there twice.* first .*episode \d+ "
                       rf"of {some}: .*--duplicates drop"):  # fmt: skip
        merged([source, some], tmp_path / "out")
    assert not (tmp_path / "out").exists()
    merged([source, some, made / f"{kind}-1", source], tmp_path / "out", "drop")
    expected = hashes_in(source) + hashes_in(made / f"{kind}-1")
    assert hashes_in(tmp_path / "out") == expected


def test_episodes_that_differ_in_metadata_alone_are_told(
    made: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    moved = [replace(episode, index=episode.index + 100) for episode in synthetic_episodes(3)]
    copies = write_raw(tmp_path / "copies", [*moved, *synthetic_episodes(3, seed=5)])
    merged([made / "episodes-0", copies], tmp_path / "out")
    assert len(hashes_in(tmp_path / "out")) == COUNT + 6
    (message,) = caplog.messages
    assert message.startswith("3 of the episodes have the arrays of others")
    assert "episode 100" in message


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("observations.goal: none against", {"observations": SPECS["vectors alone"].observations}),
        ("action.dim: 7 against 14", {"action": SPECS["two images"].action}),
        ("control_rate_hz", {"control_rate_hz": 5.0}),
        ("privileged", {"privileged": {}}),
    ],
)
def test_other_specs_are_refused_by_field(
    made: Path, tmp_path: Path, field: str, change: dict
) -> None:
    spec = SPEC.model_copy(update=change)
    other = write_raw(tmp_path / "other", synthetic_episodes(3, 7, spec), spec)
    with pytest.raises(UserError, match=rf"different specs \({field}"):
        merged([made / "episodes-0", other], tmp_path / "out")


def test_mistakes_are_one_sentence(made: Path, tmp_path: Path) -> None:
    source = made / "episodes-0"
    for said, edit in (
        ("two datasets", lambda out: merged([source], out)),
        ("before they are sharded", lambda out: merged([source, made / "shards-0"], out)),
        ("holds for none of 40 episodes", lambda out: selected(source, out, "num_steps > 99")),
        ("--shares 0.5,0.4 share nothing out", lambda out: split_up(source, out, (0.5, 0.4))),
        ("--shares 1.5,-0.5 share", lambda out: split_up(source, out, (1.5, -0.5))),
        ("none would be left for part 1", lambda out: split_up(source, out, (0.999, 0.001))),
        ("--names names 1 parts", lambda out: split_up(source, out, names=["a"])),
        ("a name twice", lambda out: split_up(source, out, names=["a", "A"])),
        ("'../b' is no name", lambda out: split_up(source, out, names=["a", "../b"])),
        ("'split.json' is no name", lambda out: split_up(source, out, names=["a", "split.json"])),
        ("is the input", lambda out: selected(source, source, "success")),
        ("lies in the input", lambda out: split_up(source, source / "parts")),
        ("lies above the input", lambda out: merged([source, source], made)),
    ):
        with pytest.raises(UserError, match=said) as caught:
            edit(tmp_path / "out")
        assert "\n" not in str(caught.value)
        assert not (tmp_path / "out").exists()
        assert not list(tmp_path.glob("*.partial"))
    hashes_in(source)


def test_damage_is_not_copied(made: Path, tmp_path: Path, kind: str) -> None:
    source = tmp_path / "source"
    for name, content in files_of(made / f"{kind}-0").items():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(content)
    tar = load_any_manifest(source).tar_paths(source)[-1]
    content = bytearray(tar.read_bytes())
    place = content.index(b"actions.npy.zst") + 512 + 60  # in what is packed of an array
    content[place] ^= 1
    tar.write_bytes(content)
    for edit in EDITS.values():
        with pytest.raises(UserError, match=tar.name):
            edit([source, made / f"{kind}-1"], tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_parents_are_named_by_hash_and_lineage_outlives_them(made: Path, tmp_path: Path) -> None:
    source = made / "episodes-0"
    parts = split_up(source, tmp_path / "parts", seed=3)
    some = [selected(part, tmp_path / f"some {part.name}", "success") for part in parts]
    last = load_any_manifest(merged(some, tmp_path / "out"))
    assert told(last) == [
        *((sha256_of(folder), "merge", {"duplicates": "refuse"}) for folder in some),
        *((sha256_of(part), "select", {"where": "success"}) for part in parts),
        *(
            (sha256_of(source), "split", {**split_params(seed=3), "part": part.name})
            for part in parts
        ),
    ]
    children = [ancestor.child for ancestor in last.ancestors]
    assert children == [sha256_of(folder) for folder in (*some, *parts)]
    assert [p.num_episodes for p in last.parents] == [
        load_any_manifest(folder).num_episodes for folder in some
    ]
    assert {parent.kind for parent in last.parents} == {"episodes"}
    assert last.params == load_any_manifest(source).params
    kept_of(tmp_path / "out", tmp_path)
    shards = load_any_manifest(tmp_path / "shards")
    assert shards.parents == []
    assert told(shards) == told(last)
    # However often parts are made and merged again, each step is there once.
    out = tmp_path / "out"
    for number in range(2):
        out = merged(split_up(out, tmp_path / f"p{number}"), tmp_path / f"m{number}")
    assert len(told(load_any_manifest(out))) == 6 + 2 * 4


def sha256_of(folder: Path) -> str:
    return sha256_file(folder / MANIFEST)


def told(manifest: Manifest) -> list[tuple[str, str, dict]]:
    steps = [*manifest.parents, *manifest.ancestors]
    return [(step.sha256, step.edit, step.params) for step in steps]


def split_params(seed: int) -> dict[str, object]:
    return {"shares": [0.7, 0.3], "names": ["0", "1"], "seed": seed}


EDITS: dict[str, Callable[[list[Path], Path], object]] = {
    "select": lambda sources, out: selected(sources[0], out, "num_steps > 1"),
    "split": lambda sources, out: split_up(sources[0], out),
    "merge": merged,
}


@pytest.mark.parametrize("edit", EDITS)
def test_sources_keep_every_byte(made: Path, tmp_path: Path, edit: str, kind: str) -> None:
    sources = [made / f"{kind}-{seed}" for seed in (0, 1)]
    before = [states_of(source) for source in sources]
    EDITS[edit](sources, tmp_path / "out")
    EDITS[edit](sources, tmp_path / "out")  # in place of an earlier result
    assert [states_of(source) for source in sources] == before


def states_of(folder: Path) -> dict[str, tuple[int, bytes]]:
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.mark.parametrize("edit", EDITS)
def test_nothing_but_an_earlier_result_of_the_same_edit_is_replaced(
    made: Path, tmp_path: Path, edit: str
) -> None:
    sources = [made / f"episodes-{seed}" for seed in (0, 1)]
    raw = write_raw(tmp_path / "out", synthetic_episodes(3))
    before = files_of(raw)
    with pytest.raises(UserError, match=rf"is no output of `parrot {edit}`"):
        EDITS[edit](sources, raw)
    assert files_of(raw) == before
    made_by = {name: tmp_path / name for name in EDITS}
    for name, out in made_by.items():
        EDITS[name](sources, out)
    for name, out in made_by.items():
        before = files_of(out)
        if name != edit:
            with pytest.raises(UserError, match=rf"is no output of `parrot {edit}`"):
                EDITS[edit](sources, out)
        with pytest.raises(UserError, match="is no output of `parrot generate`"):
            check_replaceable(out, dataset_output("generate", "episodes"))
        assert files_of(out) == before


# What a shell would run: an edit that takes long, and says when it is in the middle of it.
PROGRAM = """
import sys, time
from pathlib import Path
from parrot_data import merge, select, split

def slow(done, total, note):
    if done == total // 2:
        Path(sys.argv[4]).touch()
        time.sleep(60)

sources, out = [Path(sys.argv[2]), Path(sys.argv[3])], Path(sys.argv[5])
if sys.argv[1] == "select":
    params = select.SelectParams(where="num_steps > 1")
    select.select(params, sources[0], out, progress=slow)
elif sys.argv[1] == "split":
    params = split.SplitParams(shares=[0.7, 0.3], names=["0", "1"], seed=0)
    split.split(params, sources[0], out, progress=slow)
else:
    merge.merge(merge.MergeParams(duplicates="refuse"), sources, out, progress=slow)
"""


@pytest.mark.parametrize(
    ("edit", "kind"), [("select", "shards"), ("split", "episodes"), ("merge", "shards")]
)
def test_killed_and_given_again_an_edit_is_whole(
    made: Path, tmp_path: Path, edit: str, kind: str
) -> None:
    sources = [made / f"{kind}-{seed}" for seed in (0, 1)]
    before = [states_of(source) for source in sources]
    (tmp_path / "program.py").write_text(PROGRAM)
    command = [tmp_path / "program.py", edit, *sources, tmp_path / "middle", tmp_path / "out"]
    process = subprocess.Popen(
        [sys.executable, *map(str, command)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    deadline = time.monotonic() + 60
    while not (tmp_path / "middle").exists():
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait()
    assert not (tmp_path / "out").exists()
    assert (tmp_path / "out.partial").exists()
    EDITS[edit](sources, tmp_path / "out")
    EDITS[edit](sources, tmp_path / "undisturbed")
    assert files_of(tmp_path / "out") == files_of(tmp_path / "undisturbed")
    assert not (tmp_path / "out.partial").exists()
    assert [states_of(source) for source in sources] == before


def test_progress_counts_every_episode_once_a_store(made: Path, tmp_path: Path, kind: str) -> None:
    calls: list[tuple[int, int]] = []

    def listen(done: int, total: int, note: str) -> None:
        calls.append((done, total))

    params = SplitParams(shares=[0.5, 0.5], names=["0", "1"], seed=0)
    split(params, made / f"{kind}-0", tmp_path / "out", progress=listen)
    count = load_any_manifest(made / f"{kind}-0").num_episodes
    assert len(calls) == count * (2 if kind == "shards" else 1)
    assert [done for done, _ in calls] == sorted(done for done, _ in calls)
    assert all(done <= total for done, total in calls)
    assert calls[-1][0] == calls[-1][1]
