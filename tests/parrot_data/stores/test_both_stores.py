"""One suite over both stores: what goes in comes out, or an error names the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic import files_of, hashes_of, synthetic_episode, synthetic_episodes

from parrot_data.episodes.episode import ARRAY_FIELDS, Episode
from parrot_data.errors import UserError
from parrot_data.stores import tar_shards, zarr_store, zarr_writer

COUNT = 11
LAYOUT = zarr_writer.ZarrLayout(episodes_per_chunk=2, episodes_per_shard=4, zstd_level=3)


def write_tars(folder: Path, episodes: list[Episode]) -> None:
    folder.mkdir()
    for start in range(0, len(episodes), 4):
        path = folder / f"shard-{start:05d}.tar"
        tar_shards.write_shard(path, iter(episodes[start : start + 4]), zstd_level=3)


def write_zarr(folder: Path, episodes: list[Episode]) -> None:
    zarr_writer.write(folder, iter(episodes), len(episodes), LAYOUT)


def read_zarr(folder: Path) -> Iterator[Episode]:
    yield from zarr_store.ZarrEpisodes(folder)


STORES = {"tar": (write_tars, tar_shards.read_episodes), "zarr": (write_zarr, read_zarr)}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> tuple[Callable, Callable]:
    return STORES[request.param]


def test_episodes_come_back_exactly(store: tuple[Callable, Callable], tmp_path: Path) -> None:
    write, read = store
    episodes = synthetic_episodes(COUNT)
    write(tmp_path / "s", episodes)
    for copy, episode in zip(read(tmp_path / "s"), episodes, strict=True):
        assert copy.metadata() == episode.metadata()
        for name in ARRAY_FIELDS:
            array, original = getattr(copy, name), getattr(episode, name)
            assert array.dtype == original.dtype
            np.testing.assert_array_equal(array, original)
        assert copy.content_hash() == episode.content_hash()


def test_same_episodes_give_the_same_bytes(
    store: tuple[Callable, Callable], tmp_path: Path
) -> None:
    write, _ = store
    write(tmp_path / "a", synthetic_episodes(COUNT))
    write(tmp_path / "b", synthetic_episodes(COUNT))
    write(tmp_path / "c", synthetic_episodes(COUNT, seed=1))
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") != files_of(tmp_path / "c")


def test_episodes_of_nothing_but_zeros_are_no_missing_ones(
    store: tuple[Callable, Callable], tmp_path: Path
) -> None:
    write, read = store
    blank = synthetic_episode(0)
    for name in ARRAY_FIELDS:
        getattr(blank, name)[:] = 0
    blanks = [replace(blank, index=index) for index in range(COUNT)]
    write(tmp_path / "s", blanks)
    assert hashes_of(read(tmp_path / "s")) == hashes_of(blanks)


@pytest.mark.parametrize("harm", ["flip", "half", "empty", "missing"])
def test_harm_to_any_data_file_is_found_and_named(
    store: tuple[Callable, Callable], tmp_path: Path, harm: str
) -> None:
    write, read = store
    write(tmp_path / "s", synthetic_episodes(COUNT))
    files = sorted(p for p in (tmp_path / "s").rglob("*") if p.is_file())
    for path in files:
        if path.name == "zarr.json" and harm == "flip":
            continue  # Zarr cannot see it; `verify` does.
        whole = path.read_bytes()
        harm_file(path, whole, harm)
        source = [p for p in files if p.suffix == ".tar"] or tmp_path / "s"
        with pytest.raises(UserError) as raised:
            list(read(source))
        assert str(path.parent if path.name == "zarr.json" else path) in str(raised.value)
        path.write_bytes(whole)
    assert hashes_of(read(tmp_path / "s")) == hashes_of(synthetic_episodes(COUNT))


def harm_file(path: Path, whole: bytes, harm: str) -> None:
    if harm == "flip":
        # The middle of the first images in a tar, of the whole file in Zarr.
        is_tar = path.suffix == ".tar"
        place = whole.find(b"images.npy.zst") + 1000 if is_tar else len(whole) // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    elif harm == "missing":
        path.unlink()
    else:
        os.truncate(path, len(whole) // 2 if harm == "half" else 0)
