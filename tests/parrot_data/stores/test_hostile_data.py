"""What an adversary puts into a dataset is refused, by `verify` and by whoever reads it.

Every manifest here vouches for what was done: it was sealed again.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import shutil
import tarfile
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import google_crc32c
import numpy as np
import pytest
import zarr
import zstandard
from hostile import Members, first_tar, member, replace_member, reseal, rewrite_tar
from small_dataset import write_datasets
from synthetic import SPEC, shard_params

from parrot_data.errors import UserError
from parrot_data.shard import shard
from parrot_data.stores import publish
from parrot_data.stores.entries import ENTRIES
from parrot_data.stores.kept import KEPT
from parrot_data.stores.manifest import load_any_manifest
from parrot_data.stores.publish import read_json, sha256_file, write_json
from parrot_data.stores.tar_shards import read_episodes
from parrot_data.stores.verify import verify
from parrot_data.stores.zarr_store import ZarrEpisodes

EXABYTES = 10**12
LITTLE = 3_000_000  # bytes, for all that refusing takes


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    write_datasets(folder)
    return folder


@pytest.fixture
def folder(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path, dirs_exist_ok=True))


@pytest.fixture(params=["episodes", "shards"])
def dataset(request: pytest.FixtureRequest, folder: Path) -> Path:
    return folder / request.param


def peak_of(refused: Callable[[], object], match: str) -> int:
    """Most memory held until a call was refused."""
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=match) as raised:
            refused()
        assert "\n" not in str(raised.value)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def bomb(num_bytes: int) -> bytes:
    """A frame that says it unpacks to so many bytes, and does, of zeros."""
    compressor, out = zstandard.ZstdCompressor(level=3), io.BytesIO()
    with compressor.stream_writer(out, size=num_bytes, closefd=False) as writer:
        block = bytes(1 << 20)
        for _ in range(num_bytes >> 20):
            writer.write(block)
    return out.getvalue()


def unsaid(content: bytes) -> bytes:
    """A frame that does not say how much it unpacks to."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(content)


def npy(shape: tuple[int, ...], descr: str = "|u1", content: bytes = b"") -> bytes:
    """A compressed .npy that claims a shape."""
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        out, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return zstandard.ZstdCompressor().compress(out.getvalue() + content)


IMAGES = {
    "a bomb": lambda: bomb(1 << 28),
    "a bomb that does not say so": lambda: unsaid(bytes(1 << 24)),
    "an absurd shape": lambda: npy((200, EXABYTES, EXABYTES, 3)),
    "a large shape without content": lambda: npy((10**6, 8, 8, 3)),
    "more steps than there are": lambda: npy((10**7, 8, 8, 3)),
    "no images": lambda: npy((6, 8, 8, 4), content=bytes(6 * 8 * 8 * 4)),
    "no steps": lambda: npy((1, 8, 8, 3), content=bytes(192)),
    "other steps": lambda: npy((5, 8, 8, 3), content=bytes(5 * 192)),
    "floats": lambda: npy((6, 8, 8, 3), "<f4", bytes(6 * 192 * 4)),
    "objects": lambda: npy((1,), "|O", pickle.dumps([print])),
    "two frames": lambda: npy((6, 8, 8, 3), content=bytes(6 * 192)) * 2,
    "not compressed": lambda: bytes(100),
    "nothing": lambda: b"",
}


@pytest.mark.parametrize("content", IMAGES.values(), ids=IMAGES)
def test_an_array_is_refused_for_its_size_and_form_before_it_is_unpacked(
    dataset: Path, content: Callable[[], bytes]
) -> None:
    tar, packed = first_tar(dataset), content()
    rewrite_tar(tar, lambda members: replace_member(members, "observation.image.npy.zst", packed))
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), tar.name) < LITTLE + 2 * len(packed)
    assert peak_of(lambda: list(read_episodes([tar], SPEC)), tar.name) < LITTLE + 2 * len(packed)


def sparse(members: Members) -> None:
    """A member that tarfile would unfold to as many zeros as it says."""
    info, content = member("00000000.observation.image.npy.zst", bytes(512))
    info.type = tarfile.GNUTYPE_SPARSE
    members.insert(0, (info, content))


def link(members: Members) -> None:
    info, _ = member("00000000.observation.image.npy.zst", b"")
    info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
    members.insert(0, (info, b""))


def add(name: str, content: bytes = b"x") -> Callable[[Members], None]:
    return lambda members: members.append(member(name, content))


def swap_keys(members: Members) -> None:
    """Let the first episode go by another's number."""
    for info, _ in members[:7]:
        info.name = info.name.replace(info.name[:8], "77777777")


MEMBERS = {
    "a pickle": add("00000000.pkl", pickle.dumps(print)),
    "a library": add("00000000.pyd"),
    "a compressed pickle": add("00000000.observation.image.pickle.gz"),
    "a path": add("../../00000000.observation.image.npy.zst"),
    "an absolute path": add("/tmp/00000000.observation.image.npy.zst"),
    "a long name": add("0" * 5000),
    "a folder": add("00000000.observation.image.npy.zst/"),
    "a sample in part": add("99999999.observation.image.npy.zst"),
    "a lost member": lambda members: members.pop(3),
    "one twice": lambda members: members.insert(0, members[0]),
    "a sparse file": sparse,
    "a link": link,
    "long metadata": lambda members: replace_member(members, ".json", b"[" * 20_000),
    "deep metadata": lambda members: replace_member(members, ".json", b"[" * 16_000),
    "other metadata": lambda members: replace_member(members, ".json", b'{"index": 1}'),
    "no metadata": lambda members: replace_member(members, ".json", b"\xff\xfe"),
    "another's number": swap_keys,
}


@pytest.mark.parametrize("change", MEMBERS.values(), ids=MEMBERS)
def test_a_tar_holds_the_members_of_samples_and_nothing_else(
    dataset: Path, change: Callable[[Members], object]
) -> None:
    tar = first_tar(dataset)
    rewrite_tar(tar, change)
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), tar.name) < LITTLE
    assert peak_of(lambda: list(read_episodes([tar], SPEC)), tar.name) < LITTLE


def test_a_member_that_claims_gigabytes_is_refused_by_its_header(dataset: Path) -> None:
    tar = first_tar(dataset)
    whole = tar.read_bytes()
    with tarfile.open(tar) as opened:
        images = next(info for info in opened if info.name.endswith("observation.image.npy.zst"))
    for size in (8 << 30, 30 << 20):
        images.size = size
        at = images.offset
        tar.write_bytes(whole[:at] + images.tobuf(tarfile.GNU_FORMAT) + whole[at + 512 :])
        reseal(dataset)
        assert peak_of(lambda: verify(dataset), tar.name) < LITTLE


def test_what_gzip_made_is_no_tar(dataset: Path) -> None:
    tar = first_tar(dataset)
    tar.write_bytes(gzip.compress(bytes(1 << 26)))
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), tar.name) < LITTLE


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


def chunked(rows: int) -> Callable[[dict[str, Any]], None]:
    def change(value: dict[str, Any]) -> None:
        sharding = value["codecs"][0]["configuration"]
        sharding["chunk_shape"][0] = value["chunk_grid"]["configuration"]["chunk_shape"][0] = rows

    return change


def of_sharding(**changes: Any) -> Callable[[dict[str, Any]], None]:
    return lambda value: value["codecs"][0]["configuration"].update(changes)


ARRAYS: dict[str, Callable[[dict[str, Any]], object]] = {
    "an absurd shape": lambda v: v.update(shape=[EXABYTES, *v["shape"][1:]]),
    "one more row": lambda v: v.update(shape=[v["shape"][0] + 1, *v["shape"][1:]]),
    "absurd images": lambda v: v.update(shape=[v["shape"][0], 10**6, 10**6, 3]),
    "no shape": lambda v: v.update(shape=[]),
    "a negative shape": lambda v: v.update(shape=[-1, *v["shape"][1:]]),
    "true for one": lambda v: v.update(shape=[True, *v["shape"][1:]]),
    "absurd chunks": chunked(EXABYTES),
    "larger chunks": chunked(1000),
    "chunks that do not divide": of_sharding(chunk_shape=[7, 8, 8, 3]),
    "another dtype": lambda v: v.update(data_type="float64"),
    "objects": lambda v: v.update(data_type="object"),
    "a list for a dtype": lambda v: v.update(data_type=["uint8"]),
    "another codec": of_sharding(codecs=[{"name": "bytes"}, {"name": "numcodecs.pickle"}]),
    "no codec": lambda v: v.update(codecs=[]),
    "another fill value": lambda v: v.update(fill_value=7),
    "no names of dimensions": lambda v: v.pop("dimension_names"),
    "other names of dimensions": lambda v: v["dimension_names"].reverse(),
    "another key": lambda v: v.update(storage_transformers=[{"name": "x"}]),
    "a group": lambda v: v.update(node_type="group"),
}


@pytest.mark.parametrize("change", ARRAYS.values(), ids=ARRAYS)
def test_zarr_is_read_in_the_one_layout_that_is_written(
    folder: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    shards = folder / "shards"
    store = shards / "episodes.zarr"
    path = store / "observations" / "image" / "zarr.json"
    value = read_json(path)
    change(value)
    write_json(path, value)
    reseal(shards)
    assert peak_of(lambda: verify(shards), "zarr") < LITTLE
    assert peak_of(lambda: list(ZarrEpisodes(store, SPEC)), "zarr") < LITTLE


@pytest.mark.parametrize("is_said", [True, False])
def test_a_chunk_is_refused_before_it_is_unpacked(folder: Path, is_said: bool) -> None:
    packed = bomb(1 << 28) if is_said else unsaid(bytes(1 << 24))
    store = folder / "shards" / "episodes.zarr"
    path = store / "observations" / "image" / "c" / "0" / "0" / "0" / "0"
    index = np.array([[0, len(packed)]] * 3, dtype="<u8").tobytes()
    crc = google_crc32c.value(index).to_bytes(4, "little")
    path.write_bytes(packed + index + crc)
    reseal(folder / "shards")
    assert peak_of(lambda: list(ZarrEpisodes(store, SPEC)), "unpacks to") < LITTLE + 2 * len(packed)
    assert peak_of(lambda: verify(folder / "shards"), "unpacks to") < LITTLE + 2 * len(packed)


def less(ends: np.ndarray) -> None:
    ends[-1] -= 1


def more(ends: np.ndarray) -> None:
    ends[-1] += 1


def moved(ends: np.ndarray) -> None:
    ends[0] += 1


ENDS: dict[str, Callable[[np.ndarray], object]] = {
    "one less": less,
    "one more": more,
    "moved": moved,
    "an empty episode": lambda ends: ends.put(1, ends[0]),
    "backwards": lambda ends: ends.put(range(len(ends)), ends[::-1].copy()),
    "negative": lambda ends: ends.put(0, -(2**63)),
    "absurd": lambda ends: ends.put(0, 2**63 - 1),
    "all the same": lambda ends: ends.fill(ends[-1]),
}


@pytest.mark.parametrize("change", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("name", ["episode_ends", "metadata_ends"])
def test_wrong_ends_of_episodes_are_refused(
    folder: Path, name: str, change: Callable[[np.ndarray], object]
) -> None:
    shards = folder / "shards"
    array = zarr.open_array(shards / "episodes.zarr" / name, mode="r+")
    ends = array[:]
    change(ends)
    array[:] = ends
    reseal(shards)
    assert peak_of(lambda: verify(shards), "zarr") < LITTLE


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


def test_a_member_is_no_larger_than_the_episode_of_its_entry_needs(dataset: Path) -> None:
    """Where no manifest says how long an episode is, the whole of a long one would be read."""
    tar, packed = first_tar(dataset), np.random.default_rng(0).bytes(1 << 22)
    rewrite_tar(tar, lambda members: replace_member(members, "image.npy.zst", packed))
    reseal(dataset)
    assert peak_of(lambda: verify(dataset), "than the .* that its episode can need") < LITTLE


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
