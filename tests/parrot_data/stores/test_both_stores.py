"""One suite over both stores: what goes in comes out, or an error names the file."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from synthetic import SPEC, SPECS, files_of, hashes_of, synthetic_episode, synthetic_episodes

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores import tar_shards, zarr_store, zarr_writer

COUNT = 11
LAYOUT = zarr_writer.ZarrLayout(steps_per_chunk=16, chunks_per_shard=3, zstd_level=3)


def write_tars(folder: Path, episodes: list[Episode], spec: EpisodeSpec = SPEC) -> None:
    folder.mkdir()
    for start in range(0, len(episodes), 4):
        path = folder / f"shard-{start:05d}.tar"
        tar_shards.write_shard(path, iter(episodes[start : start + 4]), zstd_level=3)


def write_zarr(folder: Path, episodes: list[Episode], spec: EpisodeSpec = SPEC) -> None:
    zarr_writer.write(folder, spec, iter(episodes), LAYOUT)


def read_tars(folder: Path, spec: EpisodeSpec = SPEC) -> Iterator[Episode]:
    return tar_shards.read_episodes(folder, spec)


def read_zarr(folder: Path, spec: EpisodeSpec = SPEC) -> Iterator[Episode]:
    yield from zarr_store.ZarrEpisodes(folder, spec)


class Store(NamedTuple):
    write: Callable[..., None]
    read: Callable[..., Iterator[Episode]]


STORES = {"tar": Store(write_tars, read_tars), "zarr": Store(write_zarr, read_zarr)}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest) -> Store:
    return STORES[request.param]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_episodes_come_back_exactly(store: Store, spec: EpisodeSpec, tmp_path: Path) -> None:
    episodes = synthetic_episodes(COUNT, spec=spec)
    store.write(tmp_path / "s", episodes, spec)
    for copy, episode in zip(store.read(tmp_path / "s", spec), episodes, strict=True):
        assert copy.metadata() == episode.metadata()
        arrays = copy.arrays()
        assert arrays.keys() == episode.arrays().keys()
        for name, original in episode.arrays().items():
            assert arrays[name].dtype == original.dtype
            np.testing.assert_array_equal(arrays[name], original)
        assert copy.content_hash() == episode.content_hash()


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_same_episodes_give_the_same_bytes(store: Store, spec: EpisodeSpec, tmp_path: Path) -> None:
    store.write(tmp_path / "a", synthetic_episodes(COUNT, spec=spec), spec)
    store.write(tmp_path / "b", synthetic_episodes(COUNT, spec=spec), spec)
    store.write(tmp_path / "c", synthetic_episodes(COUNT, seed=1, spec=spec), spec)
    assert files_of(tmp_path / "a") == files_of(tmp_path / "b") != files_of(tmp_path / "c")


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("other", SPECS.values(), ids=SPECS)
def test_data_of_another_spec_are_refused(
    store: Store, spec: EpisodeSpec, other: EpisodeSpec, tmp_path: Path
) -> None:
    if spec is not other:
        store.write(tmp_path / "s", synthetic_episodes(2, spec=spec), spec)
        with pytest.raises(UserError):
            list(store.read(tmp_path / "s", other))


def test_episodes_of_nothing_but_zeros_are_no_missing_ones(store: Store, tmp_path: Path) -> None:
    blank = synthetic_episode(0)
    for array in blank.arrays().values():
        array[:] = 0
    blanks = [replace(blank, index=index) for index in range(COUNT)]
    store.write(tmp_path / "s", blanks)
    assert hashes_of(store.read(tmp_path / "s")) == hashes_of(blanks)


def test_facts_of_any_kind_come_back(store: Store, tmp_path: Path) -> None:
    facts = {"ä": [1, 2.5, None, True, {"b": "\ud800"}], "long": "x" * 12_000}
    episode = replace(synthetic_episode(0), facts=facts)
    store.write(tmp_path / "s", [episode])
    (copy,) = store.read(tmp_path / "s")
    assert copy.facts == facts
    assert copy.content_hash() == episode.content_hash()


@pytest.mark.parametrize("harm", ["flip", "half", "empty", "missing"])
def test_harm_to_any_data_file_is_found_and_named(store: Store, tmp_path: Path, harm: str) -> None:
    store.write(tmp_path / "s", synthetic_episodes(COUNT))
    files = sorted(p for p in (tmp_path / "s").rglob("*") if p.is_file())
    for path in files:
        if path.name == "zarr.json" and harm == "flip":
            continue  # Zarr cannot see it; `verify` does.
        whole = path.read_bytes()
        harm_file(path, whole, harm)
        with pytest.raises(UserError) as raised:
            list(
                tar_shards.read_episodes(files, SPEC)
                if path.suffix == ".tar"
                else read_zarr(tmp_path / "s")
            )
        assert str(path.parent if path.name == "zarr.json" else path) in str(raised.value)
        path.write_bytes(whole)
    assert hashes_of(store.read(tmp_path / "s")) == hashes_of(synthetic_episodes(COUNT))


def harm_file(path: Path, whole: bytes, harm: str) -> None:
    if harm == "flip":
        # The first images in a tar, the middle of the file in Zarr.
        is_tar = path.suffix == ".tar"
        place = whole.find(b"image.npy.zst") + 600 if is_tar else len(whole) // 2
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
    elif harm == "missing":
        path.unlink()
    else:
        os.truncate(path, len(whole) // 2 if harm == "half" else 0)
