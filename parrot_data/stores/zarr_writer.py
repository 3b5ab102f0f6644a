"""Writing the Zarr store, shard by shard: see `zarr_store` for what lies where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from parrot_data.episodes.episode import ARRAY_FIELDS, METADATA_BYTES, Episode
from parrot_data.errors import UserError
from parrot_data.stores.zarr_layout import METADATA, ArrayLayout

# An episode's images are 60 times its other arrays: those go ten times as many to a chunk and to
# a shard, or a data set would be hundreds of tiny files.
SMALL_ARRAY_FACTOR = 10


@dataclass(frozen=True)
class ZarrLayout:
    """How episodes lie in files: `episodes_per_shard` is a multiple of `episodes_per_chunk`."""

    episodes_per_chunk: int
    episodes_per_shard: int
    zstd_level: int


def write(path: Path, episodes: Iterable[Episode], num_episodes: int, layout: ZarrLayout) -> None:
    """Write episodes in their order, shard by shard; holds about one shard at a time.

    Args:
        path: the store's folder; replaced if it exists.
        episodes: exactly `num_episodes` of them, at least one, all of the same shapes.
        num_episodes: how many will come.
        layout: chunks, shards and compression.

    Raises:
        UserError: the layout makes chunks that no reader would take.
        ValueError: the episodes differ in shape, or are not `num_episodes`.
    """
    group = zarr.open_group(path, mode="w", zarr_format=3)
    writers: dict[str, _ShardWriter] = {}
    count = 0
    for count, episode in enumerate(episodes, start=1):
        if count > num_episodes:
            raise ValueError(f"{num_episodes} episodes announced, more came")
        rows = _rows_of(episode)
        if not writers:
            arrays = [_array_layout(name, row, num_episodes, layout) for name, row in rows.items()]
            writers = {
                array.name: _ShardWriter(_create(group, array, layout.zstd_level), array.shard_rows)
                for array in arrays
            }
        for name, row in rows.items():
            writers[name].append(row)
    if count != num_episodes or not writers:
        raise ValueError(f"{num_episodes} episodes announced, {count} came")
    for writer in writers.values():
        writer.flush()


class _ShardWriter:
    """Buffers rows until they fill a shard, since only whole shards can be written."""

    def __init__(self, array: zarr.Array[Any], length: int) -> None:
        self._array, self._length = array, length
        self._rows: list[NDArray[Any]] = []
        self._start = 0

    def append(self, row: NDArray[Any]) -> None:
        if row.shape != self._array.shape[1:] or row.dtype != self._array.dtype:
            raise ValueError(f"{self._array.name}: a row of {row.dtype}{row.shape} among others")
        self._rows.append(row)
        if len(self._rows) == self._length:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            stop = self._start + len(self._rows)
            self._array[self._start : stop] = np.stack(self._rows)
            self._start, self._rows = stop, []


def _array_layout(
    name: str, row: NDArray[Any], num_episodes: int, layout: ZarrLayout
) -> ArrayLayout:
    """How an array will lie in files, unless no reader would take it."""
    factor = 1 if name == "images" else SMALL_ARRAY_FACTOR
    chunk_rows, shard_rows = layout.episodes_per_chunk * factor, layout.episodes_per_shard * factor
    array = ArrayLayout(name, row.dtype.name, num_episodes, row.shape, chunk_rows, shard_rows)
    try:
        array.check()
    except ValueError as error:
        raise UserError(
            f"{error}: change shard.episodes_per_chunk or shard.episodes_per_shard in params.yaml."
        ) from error
    return array


def _create(group: zarr.Group, array: ArrayLayout, zstd_level: int) -> zarr.Array[Any]:
    return group.create_array(
        array.name,
        shape=(array.num_rows, *array.row),
        dtype=array.dtype,
        chunks=(array.chunk_rows, *array.row),
        shards=(array.shard_rows, *array.row),
        compressors=ZstdCodec(level=zstd_level, checksum=True),
        fill_value=0,
        # A shard of nothing but zeros must not look like a lost one.
        config={"write_empty_chunks": True},
    )


def _rows_of(episode: Episode) -> dict[str, NDArray[Any]]:
    metadata = np.frombuffer(episode.metadata_text().ljust(METADATA_BYTES, b"\0"), dtype=np.uint8)
    return {METADATA: metadata, **{name: getattr(episode, name) for name in ARRAY_FIELDS}}
