"""What is particular to Zarr: random access, memory, plain readers, and files that vanish."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import zarr
from synthetic import (
    LENGTHS,
    SPEC,
    SPECS,
    make_spec,
    synthetic_episode,
    synthetic_episodes,
    tabletop_like,
)

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec, ImageSpec
from parrot_data.errors import UserError
from parrot_data.stores.zarr_layout import MAX_CHUNK_BYTES, arrays_of
from parrot_data.stores.zarr_store import ZarrEpisodes
from parrot_data.stores.zarr_writer import CHUNK_BYTES, ZarrLayout, write

COUNT = 11
LAYOUT = ZarrLayout(steps_per_chunk=2, chunks_per_shard=3, zstd_level=3)
SECOND_SHARD = "observations/image/c/1/0/0/0"  # of 60 rows, as an image has but 192 bytes


@pytest.fixture
def path(tmp_path: Path) -> Path:
    write(tmp_path / "e.zarr", SPEC, iter(synthetic_episodes(COUNT)), LAYOUT)
    return tmp_path / "e.zarr"


def row_bounds(episodes: list[Episode], name: str) -> list[int]:
    return [0, *np.cumsum([len(episode.arrays()[name]) for episode in episodes]).tolist()]


def test_any_position_can_be_read_alone(path: Path) -> None:
    store = ZarrEpisodes(path, SPEC)
    assert len(store) == COUNT
    for position in (10, 0, 7, 3, 3, 10):
        assert store[position].content_hash() == synthetic_episode(position).content_hash()
    for outside in (-1, COUNT):
        with pytest.raises(IndexError):
            store[outside]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_rows_are_those_of_the_episodes_one_after_the_other(
    spec: EpisodeSpec, tmp_path: Path
) -> None:
    episodes = synthetic_episodes(COUNT, spec=spec)
    write(tmp_path / "e.zarr", spec, iter(episodes), LAYOUT)
    store, rng = ZarrEpisodes(tmp_path / "e.zarr", spec), np.random.default_rng(0)
    for name in episodes[0].arrays():
        whole = np.concatenate([episode.arrays()[name] for episode in episodes])
        ranges = np.sort(rng.integers(0, len(whole) + 1, (20, 2)), axis=1).tolist()
        for start, stop in [(0, len(whole)), (0, 0), *ranges]:
            rows = store.read_rows(name, start, stop)
            assert rows.dtype == whole.dtype
            np.testing.assert_array_equal(rows, whole[start:stop])
        bounds = row_bounds(episodes, name)
        assert [store.rows_at(name, e) for e in range(COUNT)] == list(pairwise(bounds))
        for start, stop in ((-1, 1), (2, 1), (0, len(whole) + 1)):
            with pytest.raises(IndexError):
                store.read_rows(name, start, stop)


def test_ends_count_the_steps(path: Path) -> None:
    store = ZarrEpisodes(path, SPEC)
    lengths = [LENGTHS[index % len(LENGTHS)] for index in range(COUNT)]
    ends = np.cumsum(lengths).tolist()
    ranges = list(zip([0, *ends[:-1]], ends, strict=True))
    assert [store.rows_at("actions", position) for position in range(COUNT)] == ranges
    assert [store.rows_at("rewards", p) for p in (3, COUNT - 1, 0)] == [
        ranges[3], ranges[-1], ranges[0]
    ]  # fmt: skip


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_plain_zarr_reads_it_and_finds_episodes_by_their_ends(
    spec: EpisodeSpec, tmp_path: Path
) -> None:
    episodes = synthetic_episodes(COUNT, spec=spec)
    write(tmp_path / "e.zarr", spec, iter(episodes), LAYOUT)
    group = zarr.open_group(tmp_path / "e.zarr", mode="r")
    ends, text_ends = group["episode_ends"][:], group["metadata_ends"][:]
    start = text_start = 0
    for e, episode in enumerate(episodes):
        stop = int(ends[e])
        np.testing.assert_array_equal(group["actions"][start:stop], episode.actions)
        for name, array in episode.observations.items():
            rows = group["observations"][name][start + e : stop + e + 1]
            np.testing.assert_array_equal(rows, array)
        text = group["metadata"][text_start : int(text_ends[e])].tobytes()
        assert json.loads(text) == episode.metadata()
        start, text_start = stop, int(text_ends[e])


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_dimensions_are_named_and_agree_in_each_group(spec: EpisodeSpec, tmp_path: Path) -> None:
    write(tmp_path / "e.zarr", spec, iter(synthetic_episodes(3, spec=spec)), LAYOUT)
    sizes: dict[tuple[str, str], int] = {}
    for array in arrays_of(spec).values():
        stored = zarr.open_array(tmp_path / "e.zarr" / array.path, mode="r")
        names = stored.metadata.dimension_names
        assert len(set(names)) == stored.ndim
        for name, size in zip(names, stored.shape, strict=True):
            assert sizes.setdefault((array.path.rpartition("/")[0], name), size) == size


def test_xarray_opens_every_group(path: Path) -> None:
    xarray = pytest.importorskip("xarray")
    root = xarray.open_zarr(path, consolidated=False)
    seen = xarray.open_zarr(path, group="observations", consolidated=False)
    assert root["actions"].dims == ("step", "actions_0")
    assert seen["image"].dims == ("observation", "image_height", "image_width", "rgb")


def test_every_array_has_as_many_files_as_its_shards(path: Path) -> None:
    def num_files(name: str) -> int:
        return sum(p.is_file() for p in (path / name / "c").rglob("*"))

    num_steps = sum(LENGTHS[index % len(LENGTHS)] for index in range(COUNT))
    # Short rows go ten times as many to a file of 2 x 3.
    assert num_files("actions") == -(-num_steps // 60)
    assert num_files("observations/image") == -(-(num_steps + COUNT) // 60)
    assert num_files("metadata") == num_files("episode_ends") == 1


@pytest.mark.parametrize("steps_per_chunk", [1, 250, 10**9])
@pytest.mark.parametrize("size", [48, 480, 1024])
def test_no_chunk_is_larger_than_what_is_read_whatever_the_params(
    tmp_path: Path, steps_per_chunk: int, size: int
) -> None:
    spec = make_spec({"image": ImageSpec(height=size, width=size)}, 1)
    episode = synthetic_episode(0, spec=spec, num_steps=1)
    write(tmp_path / "e.zarr", spec, [episode], ZarrLayout(steps_per_chunk, 1, 1))
    image = zarr.open_array(tmp_path / "e.zarr" / "observations" / "image", mode="r")
    num_bytes = int(np.prod(image.chunks))
    assert num_bytes <= max(CHUNK_BYTES, 3 * size * size) <= MAX_CHUNK_BYTES
    (copy,) = ZarrEpisodes(tmp_path / "e.zarr", spec)
    assert copy.content_hash() == episode.content_hash()


def test_the_default_chunk_of_the_tabletop_has_1_7_megabytes(tmp_path: Path) -> None:
    spec = tabletop_like(48)
    write(tmp_path / "e.zarr", spec, synthetic_episodes(1, spec=spec), ZarrLayout(250, 1, 3))
    image = zarr.open_array(tmp_path / "e.zarr" / "observations" / "image", mode="r")
    assert image.chunks[0] == 250


def test_shard_that_vanishes_after_opening_is_named_not_read_as_zeros(path: Path) -> None:
    store = ZarrEpisodes(path, SPEC)
    (path / SECOND_SHARD).unlink()
    assert store[0].content_hash() == synthetic_episode(0).content_hash()
    with pytest.raises(UserError, match=f"{SECOND_SHARD} is missing"):
        store[3]


@pytest.mark.parametrize("is_missing", [True, False])
def test_whole_shards_that_are_lost_are_not_read_as_zeros(path: Path, is_missing: bool) -> None:
    store = ZarrEpisodes(path, SPEC)
    lost = path / SECOND_SHARD
    if is_missing:
        lost.unlink()
    else:
        lost.write_bytes(b"")
    with pytest.raises(UserError, match=f"{SECOND_SHARD} is missing"):
        store.read_rows("observation.image", 60, 120)
    with pytest.raises(UserError, match=f"{SECOND_SHARD} is missing"):
        ZarrEpisodes(path, SPEC)


def test_writing_takes_episodes_shard_by_shard(tmp_path: Path) -> None:
    images, num_rows = tmp_path / "e.zarr" / "observations" / "image" / "c", 0

    def watched():
        nonlocal num_rows
        for episode in synthetic_episodes(COUNT):
            # A full shard must be on disk before the next episode is taken.
            assert len(list(images.glob("*"))) == num_rows // 60
            num_rows += episode.num_steps + 1
            yield episode

    write(tmp_path / "e.zarr", SPEC, watched(), LAYOUT)


@pytest.mark.parametrize(("num_episodes", "num_transitions"), [(10, None), (12, 1), (None, 1)])
def test_another_count_than_the_manifests_is_refused(
    path: Path, num_episodes: int | None, num_transitions: int | None
) -> None:
    with pytest.raises(UserError, match="where its manifest says"):
        ZarrEpisodes(path, SPEC, num_episodes, num_transitions)


def test_nothing_and_episodes_of_other_specs_are_not_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no episode"):
        write(tmp_path / "e.zarr", SPEC, [], LAYOUT)
    for spec in (tabletop_like(9), SPECS["vectors alone"]):
        mixed = [synthetic_episode(0), synthetic_episode(1, spec=spec)]
        with pytest.raises(ValueError, match=r"rows of|other arrays"):
            write(tmp_path / "e.zarr", SPEC, mixed, LAYOUT)


def test_a_folder_that_is_no_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.zarr is no Zarr store"):
        ZarrEpisodes(tmp_path / "nothing.zarr", SPEC)
