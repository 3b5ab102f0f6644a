"""What is exported comes back to the last bit, is read by whose format it is, or is refused."""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from edits import EDITS
from own_readers import READERS
from synthetic import (
    SPEC,
    SPECS,
    files_of,
    filter_params,
    hashes_of,
    make_spec,
    shard_params,
    synthetic_episode,
    synthetic_episodes,
    write_raw,
)

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec, ImageSpec
from parrot_data.errors import UserError
from parrot_data.exchange import zarr2
from parrot_data.exchange.formats import FORMATS, table
from parrot_data.exchange.lerobot import table_writer
from parrot_data.export import ExportParams, export
from parrot_data.filter import filter_episodes
from parrot_data.import_ import ImportParams, import_episodes
from parrot_data.shard import shard
from parrot_data.stores import publish, sources
from parrot_data.stores.manifest import load_any_manifest, load_manifest
from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify
from tests.memory import grows_by_less, peak_bytes

pytest.importorskip("h5py")
ROOT = Path(__file__).parents[3]
OWN_SPECS = {
    **SPECS,
    "one image that Minari would encode": make_spec(
        {"camera": ImageSpec(height=33, width=40)}, 1, is_bounded=False
    ),
}


def params_of(format_: str) -> ExportParams:
    return ExportParams(format=format_, control_rate_hz=10.0 if format_ == "lerobot" else None)


def exported(source: Path, format_: str, out: Path) -> Path:
    export(params_of(format_), source, out)
    return out


def imported(source: Path, format_: str, out: Path, **changes: object) -> list[Episode]:
    use_sidecar = bool(changes.pop("use_sidecar", True))
    values = {"format": format_, "task": None, "success": "all", "bounds": None, **changes}
    import_episodes(ImportParams(**values), source, out, use_sidecar=use_sidecar)
    manifest = load_manifest(out, "episodes")
    return list(read_episodes(manifest.tar_paths(out), manifest.spec))


def raw(folder: Path, spec: EpisodeSpec = SPEC, count: int = 4) -> Path:
    return write_raw(folder, synthetic_episodes(count, spec=spec), spec)


@pytest.fixture(autouse=True)
def _code_is_parsed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    for stage in ("export", "import_"):
        monkeypatch.setattr(f"parrot_data.{stage}.code_of", _code_of)


_code_of = functools.cache(sources.code_of)

# The laws


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("kind", OWN_SPECS)
def test_a_round_trip_gives_the_same_dataset(format_: str, kind: str, tmp_path: Path) -> None:
    spec = OWN_SPECS[kind]
    source = raw(tmp_path / "in", spec)
    before = files_of(source)
    out = exported(source, format_, tmp_path / "out")
    episodes = imported(out, format_, tmp_path / "back")
    assert hashes_of(episodes) == hashes_of(synthetic_episodes(4, spec=spec))
    assert files_of(tmp_path / "back")["episodes.jsonl"] == before["episodes.jsonl"]
    ours, theirs = load_any_manifest(source), load_any_manifest(tmp_path / "back")
    left_out = {"files"}
    assert ours.model_dump(exclude=left_out) == theirs.model_dump(exclude=left_out)
    assert files_of(source) == before
    verify(tmp_path / "back")


@pytest.mark.parametrize("format_", FORMATS)
@pytest.mark.parametrize("kind", ["tabletop-like", "two images", "vectors alone"])
# webdataset leaves it to the garbage collector to close the tar.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_its_own_library_reads_what_was_recorded(format_: str, kind: str, tmp_path: Path) -> None:
    spec = SPECS[kind]
    out = exported(raw(tmp_path / "in", spec), format_, tmp_path / "out")
    if format_ not in READERS:
        pytest.skip(f"read in the test of {format_}'s own")
    seen = READERS[format_](out, list(spec.observations))
    for (actions, rewards, observations), episode in zip(
        seen, synthetic_episodes(4, spec=spec), strict=True
    ):
        np.testing.assert_array_equal(actions, episode.actions)
        if rewards is not None:
            np.testing.assert_array_equal(rewards, episode.rewards)
        for name, rows in episode.observations.items():
            held = len(rows) - (FORMATS[format_].holds.observations == "steps")
            assert observations[name].dtype == rows.dtype
            np.testing.assert_array_equal(observations[name], rows[:held])


@pytest.mark.parametrize("format_", FORMATS)
def test_the_same_dataset_gives_the_same_bytes(format_: str, tmp_path: Path) -> None:
    source = raw(tmp_path / "in")
    first = files_of(exported(source, format_, tmp_path / "first"))
    assert first == files_of(exported(source, format_, tmp_path / "second"))
    assert all(str(tmp_path).encode() not in content for content in first.values())


@pytest.mark.parametrize("format_", FORMATS)
def test_an_edited_file_is_refused_by_episode(format_: str, tmp_path: Path) -> None:
    out = exported(raw(tmp_path / "in"), format_, tmp_path / "out")
    if format_ not in EDITS:
        pytest.skip(f"edited in the test of {format_}'s own")
    EDITS[format_](out)
    with pytest.raises(UserError, match=r"^episode \S*1 is not .*--without-sidecar"):
        imported(out, format_, tmp_path / "back")
    assert not (tmp_path / "back").exists()


@pytest.mark.parametrize("format_", FORMATS)
def test_without_the_sidecar_it_is_a_foreign_file(format_: str, tmp_path: Path) -> None:
    spec = SPECS["vectors alone"]
    wanted = [e for e in synthetic_episodes(4, spec=spec) if e.num_steps > 1]
    out = exported(write_raw(tmp_path / "in", wanted, spec), format_, tmp_path / "out")
    shutil.copytree(out, tmp_path / "bare", ignore=shutil.ignore_patterns("parrot"))
    told = imported(out, format_, tmp_path / "told", task="reach", use_sidecar=False)
    bare = imported(tmp_path / "bare", format_, tmp_path / "lost", task="reach")
    assert hashes_of(told) == hashes_of(bare)
    held = FORMATS[format_].holds
    for episode, original in zip(told, wanted, strict=True):
        num_steps = original.num_steps - (held.observations == "steps")
        np.testing.assert_array_equal(episode.actions, original.actions[:num_steps])
        for name, rows in original.observations.items():
            np.testing.assert_array_equal(episode.observations[name], rows[: num_steps + 1])
        if held.rewards:
            np.testing.assert_array_equal(episode.rewards, original.rewards[:num_steps])


@pytest.mark.parametrize("format_", FORMATS)
def test_an_interrupted_export_shows_nothing_and_begins_anew(format_: str, tmp_path: Path) -> None:
    source = raw(tmp_path / "in")
    whole = files_of(exported(source, format_, tmp_path / "whole"))

    def stop(done: int, total: int, note: str) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(params_of(format_), source, tmp_path / "out", progress=stop)
    assert not (tmp_path / "out").exists()
    assert files_of(exported(source, format_, tmp_path / "out")) == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in", "out", "whole"]


def test_a_killed_export_shows_nothing_and_begins_anew(tmp_path: Path) -> None:
    format_ = "diffusion-policy"
    source = raw(tmp_path / "in")
    code = (
        "import os, pathlib, sys\n"
        "from parrot_data.export import ExportParams, export\n"
        "def stop(done, total, note):\n"
        "    if done == 3: os.kill(os.getpid(), 9)\n"
        "export(ExportParams(format=sys.argv[1], control_rate_hz=None), pathlib.Path('in'),\n"
        "       pathlib.Path('out'), progress=stop)"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, format_], cwd=tmp_path, env=environment, check=False
    )
    assert done.returncode == -signal.SIGKILL
    assert not (tmp_path / "out").exists()
    exported(source, format_, tmp_path / "out")
    assert files_of(tmp_path / "out") == files_of(exported(source, format_, tmp_path / "whole"))


@pytest.mark.parametrize("format_", FORMATS)
def test_a_part_that_was_moved_already_is_no_obstacle(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed between two of the renames that gather the files of the result."""
    source = raw(tmp_path / "in")

    def refuse(*arguments: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("parrot_data.stores.outputs.work.Work.publish", refuse)
        with pytest.raises(KeyboardInterrupt):
            export(params_of(format_), source, tmp_path / "out")
    assert files_of(exported(source, format_, tmp_path / "out")) == files_of(
        exported(source, format_, tmp_path / "whole")
    )


# What may be exported, and where to


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes, the kept ones and shards of them, each in a folder of that name."""
    folder = tmp_path_factory.mktemp("datasets")
    raw(folder / "episodes", count=6)
    filter_episodes(filter_params(), folder / "episodes", folder / "kept")
    shard(shard_params(), folder / "episodes", folder / "kept", folder / "shards")
    return folder


@pytest.mark.parametrize("format_", FORMATS)
def test_shards_and_kept_episodes_are_exported_alike(
    format_: str, datasets: Path, tmp_path: Path
) -> None:
    kept, shards = tmp_path / "by_kept", tmp_path / "by_shards"
    export(params_of(format_), datasets / "episodes", kept, kept=datasets / "kept")
    exported(datasets / "shards", format_, shards)
    foreign = {n: c for n, c in files_of(kept).items() if not n.startswith("parrot/")}
    assert foreign == {n: c for n, c in files_of(shards).items() if not n.startswith("parrot/")}
    wanted = hashes_of(episode for episode in synthetic_episodes(6) if episode.success)
    assert hashes_of(imported(kept, format_, tmp_path / "a")) == wanted
    assert hashes_of(imported(shards, format_, tmp_path / "b")) == wanted
    assert "filter" in load_any_manifest(tmp_path / "a").params
    filter_episodes(filter_params(), tmp_path / "a", tmp_path / "again")


@pytest.mark.parametrize("place", ["mine.txt", "data/mine.txt", "parrot/deep/mine.txt"])
def test_what_is_a_users_is_never_replaced(place: str, tmp_path: Path) -> None:
    source, out = raw(tmp_path / "in"), tmp_path / "out"
    exported(source, "minari", out)
    (out / place).parent.mkdir(exist_ok=True)
    (out / place).write_text("mine")
    before = files_of(out)
    with pytest.raises(UserError, match=r"mine\.txt, which is no output of `parrot export`"):
        exported(source, "npz", out)
    assert files_of(out) == before


def test_another_format_replaces_an_export(tmp_path: Path) -> None:
    source, out = raw(tmp_path / "in"), tmp_path / "out"
    exported(source, "minari", out)
    exported(source, "npz", out)
    assert files_of(out) == files_of(exported(source, "npz", tmp_path / "new"))
    assert sorted(path.name for path in out.iterdir()) == ["episodes.npz", "parrot"]


def test_a_damaged_dataset_is_not_exported(tmp_path: Path) -> None:
    source = raw(tmp_path / "in")
    tar = next(source.glob("*.tar"))
    tar.write_bytes(tar.read_bytes()[:-20000])
    with pytest.raises(UserError):
        exported(source, "npz", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_names_of_the_formats_own_are_refused(tmp_path: Path) -> None:
    spec = make_spec({"Action": ImageSpec(height=4, width=4)}, 2)
    with pytest.raises(UserError, match="observation Action would be taken for"):
        exported(raw(tmp_path / "in", spec), "diffusion-policy", tmp_path / "out")


def test_a_format_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=f"none of {', '.join(FORMATS)}"):
        exported(raw(tmp_path / "in"), "hdf6", tmp_path / "out")


# The sidecar


def test_what_goes_beside_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    exported(raw(tmp_path / "in"), "diffusion-policy", tmp_path / "out")
    (sentence,) = (record.message for record in caplog.records)
    for part in (
        "diffusion-policy cannot hold",
        "the last row an episode of observation.image, observation.proprioception",
        "all of privileged.object_positions, privileged.target_position",
    ):
        assert part in sentence


def test_robomimic_is_told_of_bounds_that_are_not_its_own(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    exported(raw(tmp_path / "a", SPECS["vectors alone"]), "robomimic", tmp_path / "b")
    assert "within [-1, 1]" not in caplog.text
    exported(raw(tmp_path / "c", SPECS["two images"]), "robomimic", tmp_path / "d")
    assert "within [-1, 1]" in caplog.text


@pytest.mark.parametrize("format_", FORMATS)
def test_a_foreign_file_holds_nothing_privileged(format_: str, tmp_path: Path) -> None:
    """Who reads it cannot know that no policy may see it."""
    out = exported(raw(tmp_path / "in"), format_, tmp_path / "out")
    for name, content in files_of(out).items():
        if not name.startswith("parrot/"):
            assert b"object_positions" not in content
            assert "object_positions" not in name


@pytest.mark.parametrize(
    "changes", [{"task": "reach"}, {"success": "length<3"}, {"bounds": (-1.0, 1.0)}]
)
def test_what_the_sidecar_knows_is_not_asked(changes: dict, tmp_path: Path) -> None:
    out = exported(raw(tmp_path / "in"), "npz", tmp_path / "out")
    with pytest.raises(UserError, match=r"known from the sidecar .*--without-sidecar"):
        imported(out, "npz", tmp_path / "back", **changes)


@pytest.mark.parametrize(
    "name", ["episodes.jsonl", "export.json", "privileged.target_position.rows.zst"]
)
@pytest.mark.parametrize("how", ["flip", "cut", "remove"])
def test_a_damaged_sidecar_is_refused(name: str, how: str, tmp_path: Path) -> None:
    out = exported(raw(tmp_path / "in"), "npz", tmp_path / "out")
    path = out / "parrot" / name
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    if how == "flip":
        path.write_bytes(content)
    elif how == "cut":
        path.write_bytes(content[:-1])
    else:
        path.unlink()
    if (name, how) == ("export.json", "remove"):  # then it is none
        assert len(imported(out, "npz", tmp_path / "back", task="reach")) == 4
        return
    with pytest.raises(UserError, match=r"parrot.*(--without-sidecar|restore)"):
        imported(out, "npz", tmp_path / "back")


def test_the_file_is_as_good_as_its_folder(tmp_path: Path) -> None:
    out = exported(raw(tmp_path / "in"), "npz", tmp_path / "out")
    wanted = hashes_of(synthetic_episodes(4))
    assert hashes_of(imported(out / "episodes.npz", "npz", tmp_path / "back")) == wanted
    shutil.copy(out / "episodes.npz", out / "other.npz")  # another file beside a sidecar
    assert hashes_of(imported(out / "other.npz", "npz", tmp_path / "o", task="t")) != wanted


def test_episodes_that_were_taken_out_or_put_in_are_missed(tmp_path: Path) -> None:
    import h5py

    out = exported(raw(tmp_path / "in"), "robomimic", tmp_path / "out")
    with h5py.File(out / "demo.hdf5", "a") as file:
        file["data"].copy("demo_3", "demo_4")
    with pytest.raises(UserError, match="episode demo_4 is one more than were exported"):
        imported(out, "robomimic", tmp_path / "back")
    with h5py.File(out / "demo.hdf5", "a") as file:
        del file["data/demo_4"], file["data/demo_3"]
    with pytest.raises(UserError, match="episode 3 is no more in the exported file"):
        imported(out, "robomimic", tmp_path / "back")


@pytest.mark.parametrize("edit", ["another observation", "another dtype", "what follows"])
def test_no_edit_of_what_is_held_goes_unseen(edit: str, tmp_path: Path) -> None:
    import h5py

    out = exported(raw(tmp_path / "in"), "robomimic", tmp_path / "out")
    with h5py.File(out / "demo.hdf5", "a") as file:
        demo = file["data/demo_2"]
        if edit == "another observation":
            demo["obs/extra"] = demo["next_obs/extra"] = demo["actions"][()]
        elif edit == "another dtype":
            actions = demo["actions"][()].astype(np.float64)
            del demo["actions"]
            demo["actions"] = actions
        else:
            demo["next_obs/proprioception"][0, 0] += 1
    with pytest.raises(UserError, match=r"^episode demo_2 .*--without-sidecar"):
        imported(out, "robomimic", tmp_path / "back")


# Formats of their own


@pytest.mark.parametrize(
    "format_", ["robomimic", "minari", "npz", "diffusion-policy", "rlds", "webdataset"]
)
def test_success_is_a_key_of_the_file_too(format_: str, tmp_path: Path) -> None:
    spec = make_spec({"camera": ImageSpec(height=4, width=4)}, 2)
    episodes = [e for e in synthetic_episodes(6, spec=spec) if e.num_steps > 1]
    out = exported(write_raw(tmp_path / "in", episodes, spec), format_, tmp_path / "out")
    key = "infos/success" if format_ == "minari" else "success"
    found = imported(
        out, format_, tmp_path / "back", use_sidecar=False, task="reach", success=f"key={key}"
    )
    assert [e.success for e in found] == [e.success for e in episodes]


def test_tasks_of_webdatasets_samples_are_kept(tmp_path: Path) -> None:
    out = exported(raw(tmp_path / "in"), "webdataset", tmp_path / "out")
    found = imported(out, "webdataset", tmp_path / "back", use_sidecar=False)
    assert [e.task for e in found] == [e.task for e in synthetic_episodes(4)]
    assert [e.terminated for e in found] == [e.terminated for e in synthetic_episodes(4)]


def test_robomimics_masks_name_successes_and_tasks(tmp_path: Path) -> None:
    import h5py

    out = exported(raw(tmp_path / "in", count=7), "robomimic", tmp_path / "out")
    episodes = synthetic_episodes(7)
    with h5py.File(out / "demo.hdf5") as file:
        masks = {name: [e.decode() for e in mask[:]] for name, mask in file["mask"].items()}
    assert masks == {
        "success": [f"demo_{e.index}" for e in episodes if e.success],
        "task_pick": [f"demo_{e.index}" for e in episodes if e.task == "pick"],
        "task_place": [f"demo_{e.index}" for e in episodes if e.task == "place"],
    }


def test_zarr_of_2022_knows_every_word_of_the_replay_buffer(tmp_path: Path) -> None:
    """Blosc(cname, clevel, shuffle, blocksize) is all that numcodecs 0.10 takes."""
    out = exported(raw(tmp_path / "in"), "diffusion-policy", tmp_path / "out")
    found = list((out / "replay.zarr").rglob(".zarray"))
    assert len(found) == 6
    for path in found:
        said = json.loads(path.read_text())
        assert said["compressor"].keys() == {"id", "cname", "clevel", "shuffle", "blocksize"}
        assert said.keys() == {
            "chunks", "compressor", "dtype", "fill_value", "filters", "order", "shape",
            "zarr_format",
        }  # fmt: skip


@pytest.mark.parametrize("format_", FORMATS)
def test_memory_holds_an_episode_and_not_the_dataset(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There and back, eight times as many episodes need no more of it."""
    monkeypatch.setattr(zarr2, "_CHUNK_BYTES", 1 << 16)
    monkeypatch.setattr(publish, "_READ_BYTES", 1 << 16)
    monkeypatch.setattr(table_writer, "_ROWS_AT_ONCE", 40)
    spec = make_spec({"camera": ImageSpec(height=16, width=16)}, 2)
    values = {"format": format_, "task": None, "success": "all", "bounds": None}

    def episodes(count: int) -> Iterator[Episode]:
        return (synthetic_episode(index, spec=spec, num_steps=20) for index in range(count))

    def peak(count: int) -> int:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        source = write_raw(folder / "in", episodes(count), spec)

        def there_and_back() -> None:
            out = exported(source, format_, folder / "out")
            import_episodes(ImportParams(**values), out, folder / "back")

        return peak_bytes(there_and_back)

    num_bytes = sum(episode.observations["camera"].nbytes for episode in episodes(64 - 8))
    assert grows_by_less(peak, 8, 64, num_bytes / 4)


# The document

# What each cell of docs/exchange.md says of a format, and the test that shows it.
ABILITIES = {
    "import": test_without_the_sidecar_it_is_a_foreign_file,
    "export": test_the_same_dataset_gives_the_same_bytes,
    "round trip": test_a_round_trip_gives_the_same_dataset,
    "read by its own library": test_its_own_library_reads_what_was_recorded,
}


def abilities() -> str:
    """The table of docs/exchange.md, of tests that all formats pass."""
    head = f"| | {' | '.join(ABILITIES)} |\n|{'---|' * (len(ABILITIES) + 1)}\n"
    cells = " | ".join(f"`{test.__name__}[{{0}}]`" for test in ABILITIES.values())
    return head + "".join(f"| `{name}` | {cells.format(name)} |\n" for name in FORMATS)


@pytest.mark.parametrize("wanted", [table, abilities])
def test_the_document_has_the_tables(wanted: object) -> None:
    assert wanted() in (ROOT / "docs/exchange.md").read_text()
