"""What an adversary says of a dataset is refused, by `verify` and by whoever reads it.

Every manifest here vouches for what was done: it was sealed again.
"""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hostile import LITTLE, first_tar, peak_of, reseal
from synthetic import SPEC, shard_params

from parrot_data.errors import UserError
from parrot_data.shard import shard
from parrot_data.stores import publish
from parrot_data.stores.entries import ENTRIES
from parrot_data.stores.kept import KEPT
from parrot_data.stores.manifest import load_any_manifest
from parrot_data.stores.publish import read_json, sha256_file, write_json
from parrot_data.stores.verify import verify
from parrot_data.stores.zarr_store import ZarrEpisodes

NAMES = [
    "../../x.tar",
    "/etc/passwd",
    "a/../b",
    "./episodes-00000.tar",
    "a//b",
    "a\\b",
    "C:x",
    "",
    ".",
    "..",
    ".hidden",
    "a\0b",
    "a\nb",
    "é",
    "a/" * 50 + "a",
    "a" * 300,
    "manifest.json",
    "episodes.jsonl",
]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", ["files", "episodes"])
def test_a_name_that_is_not_plain_is_refused_before_anything_is_opened(
    dataset: Path, name: str, key: str
) -> None:
    def rename(value: dict[str, Any]) -> None:
        (value["episodes"] if key == "episodes" else value["files"][0])["name"] = name

    if (key, name) == ("episodes", ENTRIES):
        return  # its own
    reseal(dataset, rename)
    with pytest.raises(UserError, match=r"manifest\.json is not as the stage writes it"):
        load_any_manifest(dataset)


@pytest.mark.parametrize("key", ["tar_shards", "zarr"])
def test_so_are_the_names_of_the_stores(folder: Path, key: str) -> None:
    outside = "../episodes/episodes-00000.tar"
    reseal(
        folder / "shards",
        lambda value: value.update({key: outside if key == "zarr" else [outside]}),
    )
    with pytest.raises(UserError, match=r"manifest\.json is not as the stage writes it"):
        load_any_manifest(folder / "shards")


def test_no_reader_follows_a_link_out_of_the_dataset(dataset: Path, tmp_path: Path) -> None:
    tar = first_tar(dataset)
    tar.rename(tmp_path / "elsewhere.tar")
    tar.symlink_to(tmp_path / "elsewhere.tar")
    with pytest.raises(UserError, match="outside of the dataset"):
        verify(dataset)
    with pytest.raises(UserError, match="outside of the dataset"):
        load_any_manifest(dataset).tar_paths(dataset)


def test_a_pipe_where_a_file_should_be_is_not_waited_for(dataset: Path) -> None:
    tar = first_tar(dataset)
    tar.unlink()
    os.mkfifo(tar)
    with pytest.raises(UserError, match="missing"):
        verify(dataset)


@pytest.mark.parametrize("name", ["helper.pyd", "tar/more.pkl", "link"])
def test_verify_refuses_a_file_that_no_stage_wrote(folder: Path, name: str) -> None:
    if name == "link":
        (folder / "shards" / name).symlink_to(folder / "episodes")
    else:
        (folder / "shards" / name).write_bytes(pickle.dumps(print))
    with pytest.raises(UserError, match=f"{name} is not in the manifest"):
        verify(folder / "shards")


COUNTS = [10**9, 10**30, 0, -1, True, 8.0, "8", None]


@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("key", ["num_episodes", "num_transitions"])
def test_a_wrong_count_is_refused(dataset: Path, key: str, count: object) -> None:
    if dataset.name == "episodes" and key == "num_transitions":
        return  # does not say
    reseal(dataset, lambda value: value.update({key: count}))
    assert peak_of(lambda: verify(dataset), r"manifest\.json") < LITTLE


def test_a_count_that_is_one_off_is_refused(folder: Path) -> None:
    shards = folder / "shards"
    reseal(shards, lambda value: value.update(num_transitions=value["num_transitions"] + 1))
    with pytest.raises(UserError, match=r"says num_transitions \d+, but what episodes\.jsonl"):
        load_any_manifest(shards).entries(shards)
    with pytest.raises(UserError, match="transitions where its manifest says"):
        verify(shards)
    reseal(folder / "episodes", lambda value: value["files"][0].update(num_episodes=4))
    with pytest.raises(UserError, match="is not the sum of its files"):
        verify(folder / "episodes")


def test_a_count_of_the_files_and_not_of_the_entries_is_refused(folder: Path) -> None:
    def one_more(value: dict[str, Any]) -> None:
        value["num_episodes"] += 1
        value["files"][0]["num_episodes"] += 1

    reseal(folder / "episodes", one_more)
    with pytest.raises(UserError, match=r"says num_episodes 9, but episodes\.jsonl .* lists 8"):
        load_any_manifest(folder / "episodes").entries(folder / "episodes")
    with pytest.raises(UserError, match="says num_episodes 9"):
        verify(folder / "episodes")


def test_other_statistics_are_found(folder: Path) -> None:
    reseal(folder / "shards", lambda value: value["statistics"]["action"]["mean"].reverse())
    with pytest.raises(UserError, match="statistics"):
        verify(folder / "shards")


@pytest.mark.parametrize("line", [b"[" * 20_000, b"a" * 10**7, b'"' + b"\\u0041" * 3000 + b'"'])
def test_a_long_line_of_the_entries_is_not_read(dataset: Path, line: bytes) -> None:
    path = dataset / ENTRIES
    path.write_bytes(line + b"\n" + b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), r"line 1 has more than") < LITTLE


JSON = {
    "too large": b" " * 5000,
    "too deep": b"[" * 4000,
    "deep, and whole": b'{"a":' + b"[" * 200 + b"]" * 200 + b"}",
    "not a number": b'{"kind": NaN}',
    "infinite": b'{"kind": 1e999}',
    "many digits": b"1" * 4900,
    "no object": b"[1]",
    "a list for a kind": b'{"kind": []}',
    "not UTF-8": b"\xff",
    "empty": b"",
}


@pytest.mark.parametrize("text", JSON.values(), ids=JSON)
@pytest.mark.parametrize("name", ["shards/manifest.json", "kept/kept.json", "zarr", "array"])
def test_hostile_json_is_refused(
    folder: Path, text: bytes, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish, "MAX_JSON_BYTES", 4999)
    store = folder / "shards" / "episodes.zarr"
    path = {
        "zarr": store / "zarr.json",
        "array": store / "observations" / "image" / "zarr.json",
    }.get(name, folder / name)
    path.write_bytes(text)

    def read() -> None:
        if name.startswith("kept"):
            shard(shard_params(), folder / "episodes", folder / "kept", folder / "again")
        elif "manifest" in name:
            verify(folder / "shards")
        else:
            ZarrEpisodes(store, SPEC)

    assert peak_of(read, path.name.replace(".", r"\.")) < LITTLE


@pytest.mark.parametrize("byte", [b"\r", b"\r\n"])
def test_another_end_of_line_is_another_manifest(dataset: Path, byte: bytes) -> None:
    path = dataset / "manifest.json"
    path.write_bytes(path.read_bytes().replace(b"\n", byte, 1))
    with pytest.raises(UserError, match="altered"):
        load_any_manifest(dataset)


def say_of_the_first(dataset: Path, **changes: Any) -> None:
    """Let an entry say something else, and the sum of all steps be right."""
    first, *others = (dataset / ENTRIES).read_text().splitlines(keepends=True)
    said = json.loads(first)
    more_steps = changes.get("num_steps", said["num_steps"]) - said["num_steps"]
    line = json.dumps(said | changes, sort_keys=True) + "\n"
    (dataset / ENTRIES).write_text("".join([line, *others]))

    def count(value: dict[str, Any]) -> None:
        if "num_transitions" in value:
            value["num_transitions"] += more_steps

    reseal(dataset, count)


@pytest.mark.parametrize(
    "changes", [{"num_steps": 1}, {"num_steps": 6}, {"num_steps": 10**6}, {"facts": {}}]
)
def test_an_entry_that_says_something_else_is_refused(
    dataset: Path, changes: dict[str, Any]
) -> None:
    say_of_the_first(dataset, **changes)
    assert peak_of(lambda: verify(dataset), dataset.name) < LITTLE


SPEC_CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "no observations": lambda s: s.update(observations={}),
    "a name that leads out": lambda s: s["observations"].update({"../x": {"kind": "vector"}}),
    "one name more": lambda s: s["observations"].update(more={"kind": "vector", "dim": 1}),
    "one name less": lambda s: s["observations"].pop("proprioception"),
    "two names that differ in case": lambda s: s["privileged"].update(
        Target_position={"dtype": "float32", "shape": [3]}
    ),
    "a larger image": lambda s: s["observations"]["image"].update(height=9),
    "a flat image": lambda s: s["observations"]["image"].update(height=4, width=16),
    "an absurd image": lambda s: s["observations"]["image"].update(height=10**9),
    "no image": lambda s: s["observations"]["image"].update(kind="pickle"),
    "a wider action": lambda s: s["action"].update(dim=8, low=[-1.0] * 8, high=[1.0] * 8),
    "a negative action": lambda s: s["action"].update(dim=-1),
    "an absurd privileged array": lambda s: s["privileged"]["target_position"].update(
        shape=[60_000, 60_000, 60_000]
    ),
    "an empty privileged array": lambda s: s["privileged"]["target_position"].update(shape=[0]),
    "privileged objects": lambda s: s["privileged"]["target_position"].update(dtype="object"),
    "privileged text": lambda s: s["privileged"]["target_position"].update(dtype="<U3"),
    "other numbers": lambda s: s["privileged"]["target_position"].update(dtype="int32"),
}


@pytest.mark.parametrize("change", SPEC_CHANGES.values(), ids=SPEC_CHANGES)
def test_a_spec_that_is_not_that_of_the_episodes_is_refused(
    dataset: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    reseal(dataset, lambda value: change(value["spec"]))
    assert peak_of(lambda: verify(dataset), dataset.name) < LITTLE


DECISIONS: dict[str, Callable[[dict[str, Any]], object]] = {
    "one less": lambda v: v["kept"].pop(),
    "one more": lambda v: v["kept"].append(10**6),
    "one that failed": lambda v: v.update(kept=sorted([*v["kept"], v["dropped"][0]["index"]])),
    "a failure kept": lambda v: v["kept"].insert(0, v["dropped"].pop(0)["index"]),
    "none": lambda v: v.update(kept=[]),
    "a huge index": lambda v: v["kept"].append(10**30),
    "another reason": lambda v: v["dropped"][0].update(reason="over_limit"),
    "another failure": lambda v: v["dropped"][0].update(failure="bored"),
    "one dropped twice": lambda v: v["dropped"].append(v["dropped"][0]),
    "no params": lambda v: v.update(params={}),
    "other tasks": lambda v: v["params"].update(tasks=["place"]),
}


@pytest.mark.parametrize("change", DECISIONS.values(), ids=DECISIONS)
def test_a_decision_that_filter_would_not_make_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = folder / "kept" / KEPT
    value = read_json(path)
    change(value)
    write_json(path, value)
    with pytest.raises(UserError, match=r"kept\.json"):
        shard(shard_params(), folder / "episodes", folder / "kept", folder / "again")
    assert sha256_file(path)  # it is not touched
