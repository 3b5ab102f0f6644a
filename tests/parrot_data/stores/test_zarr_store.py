"""What is particular to Zarr: random access, memory, and files that vanish."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic import synthetic_episode, synthetic_episodes

from parrot_data.errors import UserError
from parrot_data.stores.zarr_store import ZarrEpisodes
from parrot_data.stores.zarr_writer import ZarrLayout, write

COUNT = 11
LAYOUT = ZarrLayout(episodes_per_chunk=2, episodes_per_shard=4, zstd_level=3)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "e.zarr", iter(synthetic_episodes(COUNT)), COUNT, LAYOUT)
    return tmp_path / "e.zarr"


def test_any_position_can_be_read_alone(path: Path) -> None:
    store = ZarrEpisodes(path)
    assert len(store) == COUNT
    for position in (10, 0, 7, 3):
        assert store[position].content_hash() == synthetic_episode(position).content_hash()
    for outside in (-1, COUNT):
        with pytest.raises(IndexError):
            store[outside]


@pytest.mark.parametrize(("start", "stop"), [(0, 11), (3, 9), (4, 8), (10, 11)])
def test_ranges_across_shards_are_stacked_in_order(path: Path, start: int, stop: int) -> None:
    actions = ZarrEpisodes(path).read_array("actions", start, stop)
    images = ZarrEpisodes(path).read_array("images", start, stop)
    expected = synthetic_episodes(COUNT)[start:stop]
    np.testing.assert_array_equal(actions, np.stack([e.actions for e in expected]))
    np.testing.assert_array_equal(images, np.stack([e.images for e in expected]))


def test_every_array_has_as_many_files_as_its_shards(path: Path) -> None:
    def num_files(name: str) -> int:
        return sum(p.is_file() for p in (path / name / "c").rglob("*"))

    assert num_files("images") == 3  # of 4, 4 and 3 episodes
    assert num_files("actions") == num_files("metadata") == 1


def test_shard_that_vanishes_after_opening_is_named_not_read_as_zeros(path: Path) -> None:
    store = ZarrEpisodes(path)
    lost = path / "images" / "c" / "1" / "0" / "0" / "0" / "0"
    lost.unlink()
    assert store[3].content_hash() == synthetic_episode(3).content_hash()
    with pytest.raises(UserError, match="images/c/1/0/0/0/0 is missing"):
        store[4]


@pytest.mark.parametrize("is_missing", [True, False])
def test_whole_shards_that_are_lost_are_not_read_as_zeros(path: Path, is_missing: bool) -> None:
    store = ZarrEpisodes(path)
    lost = path / "images" / "c" / "1" / "0" / "0" / "0" / "0"
    if is_missing:
        lost.unlink()
    else:
        lost.write_bytes(b"")
    with pytest.raises(UserError, match="images/c/1/0/0/0/0 is missing"):
        store.read_array("images", 4, 8)


def test_writing_takes_episodes_shard_by_shard(tmp_path: Path) -> None:
    images = tmp_path / "e.zarr" / "images" / "c"

    def watched():
        for episode in synthetic_episodes(COUNT):
            # A full shard must be on disk before the next one's first episode is taken.
            assert len(list(images.glob("*"))) == episode.index // 4
            yield episode

    write(tmp_path / "e.zarr", watched(), COUNT, LAYOUT)


@pytest.mark.parametrize("announced", [0, 4, 10, 12])
def test_a_wrong_count_is_refused(tmp_path: Path, announced: int) -> None:
    with pytest.raises(ValueError, match="announced"):
        write(tmp_path / "e.zarr", iter(synthetic_episodes(COUNT)), announced, LAYOUT)


def test_episodes_of_other_shapes_are_refused(tmp_path: Path) -> None:
    mixed = [synthetic_episode(0), synthetic_episode(1, num_steps=1)]
    with pytest.raises(ValueError, match="among others"):
        write(tmp_path / "e.zarr", iter(mixed), 2, LAYOUT)


def test_a_folder_that_is_no_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.zarr is no Zarr store"):
        ZarrEpisodes(tmp_path / "nothing.zarr")
