"""Arrays of Zarr format 2: zarr and this reader see the same, and no .zarray misleads it."""

from __future__ import annotations

import json
import zlib
from pathlib import Path

import numcodecs
import numpy as np
import pytest
import zarr

from parrot_data.errors import UserError
from parrot_data.exchange import zarr2
from parrot_data.exchange.zarr2 import ArrayWriter, open_array
from parrot_data.import_ import ImportParams, import_episodes
from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.tar_shards import read_episodes

ROWS = np.arange(7 * 5 * 3, dtype=np.float32).reshape(7, 5, 3)
CODECS = {
    "none": None,
    "blosc": numcodecs.Blosc(),
    "zstd": numcodecs.Zstd(),
    "zlib": numcodecs.Zlib(),
    "gzip": numcodecs.GZip(),
}


def by_zarr(path: Path, rows: np.ndarray = ROWS, codec: object = None, **how: object) -> Path:
    values = {"chunks": (3, 2, 3), **how}
    array = zarr.create_array(
        str(path), shape=rows.shape, dtype=rows.dtype, compressors=codec, zarr_format=2,
        config={"write_empty_chunks": True}, **values,
    )  # fmt: skip
    array[:] = rows
    return path


def said(path: Path, **changes: object) -> None:
    file = path / ".zarray"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("separator", [".", "/"])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "|u1", "|b1", "<i8"])
def test_what_zarr_wrote_is_read(codec: str, separator: str, dtype: str, tmp_path: Path) -> None:
    rows = ROWS.astype(dtype)
    encoding = {"name": "v2", "separator": separator}
    path = by_zarr(tmp_path / "a", rows, CODECS[codec], chunk_key_encoding=encoding)
    array = open_array(path)
    for start, stop in ((0, 7), (2, 4), (6, 7), (3, 3)):
        np.testing.assert_array_equal(array.rows(start, stop), rows[start:stop])
    assert array.dtype == np.dtype(dtype)


def test_the_same_rows_are_the_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the number of cores, which Blosc would all use where zarr has not told it not to."""
    monkeypatch.setattr(numcodecs.blosc, "use_threads", True)
    steps = np.random.default_rng(0).integers(-1, 2, (8, 1 << 18))
    rows, written = (steps.cumsum(1) % 256).astype(np.uint8), set()
    for number in range(16):
        path = tmp_path / str(number)
        writer = ArrayWriter(path, rows.dtype, rows.shape)
        writer.append(rows)
        writer.close()
        written.add(b"".join(file.read_bytes() for file in sorted(path.glob("*.0"))))
    assert len(written) == 1


@pytest.mark.parametrize("chunk_bytes", [1, 100, 1 << 20])
@pytest.mark.parametrize("pieces", [(7,), (1, 2, 4), (5, 0, 2)])
def test_zarr_reads_what_is_written(
    chunk_bytes: int, pieces: tuple, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(zarr2, "_CHUNK_BYTES", chunk_bytes)
    writer = ArrayWriter(tmp_path / "a", ROWS.dtype, ROWS.shape)
    for stop, count in zip(np.cumsum(pieces), pieces, strict=True):
        writer.append(ROWS[stop - count : stop])
    writer.close()
    found = zarr.open_array(str(tmp_path / "a"), mode="r", zarr_format=2)
    np.testing.assert_array_equal(found[:], ROWS)
    np.testing.assert_array_equal(open_array(tmp_path / "a").rows(0, 7), ROWS)


def test_rows_that_were_announced_must_come(tmp_path: Path) -> None:
    writer = ArrayWriter(tmp_path / "a", ROWS.dtype, ROWS.shape)
    writer.append(ROWS[:3])
    with pytest.raises(ValueError, match="got 3 rows, not 7"):
        writer.close()


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"compressor": {"id": "pickle"}}, "is compressed by pickle"),
        ({"compressor": {"id": ["blosc"]}}, "is compressed by"),
        ({"filters": [{"id": "pickle"}]}, "names an order or filters"),
        ({"order": "F"}, "names an order or filters"),
        ({"dtype": "|O"}, "no plain numbers"),
        ({"dtype": [["a", "<f4"]]}, "no plain numbers"),
        ({"dtype": "<f9"}, "no plain numbers"),
        ({"shape": [7, -5, 3]}, "names no shape"),
        ({"shape": [7.0, 5, 3]}, "names no shape"),
        ({"chunks": [3, 2]}, "do not cut"),
        ({"chunks": [0, 2, 3]}, "do not cut"),
        ({"chunks": [1 << 30, 2, 3]}, "chunks of more than"),
        ({"zarr_format": 3}, "no array of Zarr format 2"),
    ],
)
def test_a_zarray_of_another_kind_is_refused(changes: dict, word: str, tmp_path: Path) -> None:
    path = by_zarr(tmp_path / "a")
    said(path, **changes)
    with pytest.raises(UserError, match=word):
        open_array(path)


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("how", ["removed", "empty", "cut", "garbage", "another size"])
def test_a_damaged_chunk_is_refused(codec: str, how: str, tmp_path: Path) -> None:
    path = by_zarr(tmp_path / "a", codec=CODECS[codec])
    chunk = path / "1.0.0"
    if how == "removed":
        chunk.unlink()
    elif how == "another size":
        said(path, dtype="<f8")
    else:
        content = chunk.read_bytes()
        chunk.write_bytes({"empty": b"", "cut": content[:-9], "garbage": b"\x02\x01" * 40}[how])
    with pytest.raises(UserError, match=r"(is missing|is damaged)"):
        open_array(path).rows(0, 7)


def test_a_chunk_that_unpacks_to_more_is_refused_before_memory_is_found(tmp_path: Path) -> None:
    path = by_zarr(tmp_path / "a", codec=CODECS["zlib"])
    (path / "0.0.0").write_bytes(zlib.compress(bytes(1 << 28), 1))
    with pytest.raises(UserError, match="does not unpack to 72 bytes"):
        open_array(path).rows(0, 7)


# Replay buffers


def buffer(folder: Path, **changes: np.ndarray | None) -> Path:
    """Such as others write: other names, no rewards, chunks of their own."""
    rng = np.random.default_rng(0)
    values = {
        "action": rng.uniform(-1, 1, (9, 2)).astype(np.float32),
        "agent_pos": rng.normal(size=(9, 2)),
        "img": rng.integers(0, 256, (9, 6, 5, 3), dtype=np.uint8),
        **changes,
    }
    path = folder / "pusht.zarr"
    root = zarr.open_group(str(path), mode="w", zarr_format=2)
    for name, rows in values.items():
        if rows is not None and name != "episode_ends":
            by_zarr(path / "data" / name, rows, CODECS["blosc"], chunks=(4, *rows.shape[1:]))
    root.require_group("data")
    ends = changes.get("episode_ends", np.array([4, 9]))
    if ends is not None:
        by_zarr(path / "meta" / "episode_ends", ends, chunks=ends.shape)
    return path


def take(source: Path, out: Path, **changes: object) -> list:
    values = {"format": "diffusion-policy", "task": None, "success": "all", "bounds": None}
    import_episodes(ImportParams(**{**values, **changes}), source, out)
    manifest = load_manifest(out, "episodes")
    return list(read_episodes(manifest.tar_paths(out), manifest.spec))


def test_a_replay_buffer_of_others_is_imported(tmp_path: Path) -> None:
    path = buffer(tmp_path)
    first, second = take(path, tmp_path / "out", bounds=(-2.0, 2.0))
    root = zarr.open_group(str(path), mode="r", zarr_format=2)["data"]
    # Of each episode the observation after the last action is missing, and so that action goes.
    np.testing.assert_array_equal(first.actions, root["action"][:3])
    np.testing.assert_array_equal(second.observations["img"], root["img"][4:9])
    np.testing.assert_array_equal(
        second.observations["agent_pos"], root["agent_pos"][4:9].astype(np.float32)
    )
    assert first.task == "pusht"
    assert load_manifest(tmp_path / "out", "episodes").spec.action.low == [-2.0, -2.0]


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"action": None}, "has no action, only agent_pos, img"),
        ({"img": np.zeros((8, 4, 4, 3), np.uint8)}, "the episodes end at 9"),
        ({"episode_ends": np.array([9, 4])}, "does not ascend"),
        ({"episode_ends": np.array([0, 9])}, "does not ascend"),
        ({"episode_ends": np.array([4.5, 9])}, "no ends of episodes"),
        ({"episode_ends": None}, "no replay buffer"),
        ({"episode_ends": np.array([4, 1 << 40])}, "the episodes end at"),
    ],
)
def test_what_is_no_replay_buffer_is_refused(changes: dict, word: str, tmp_path: Path) -> None:
    path = buffer(tmp_path, **changes)
    with pytest.raises(UserError, match=word):
        take(path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_packed_store_is_told_to_be_unpacked(tmp_path: Path) -> None:
    (tmp_path / "cup.zarr.zip").write_bytes(b"PK")
    with pytest.raises(UserError, match="is a file: unpack it"):
        take(tmp_path / "cup.zarr.zip", tmp_path / "out")
