"""Writing the Zarr store, shard by shard: see `zarr_store` for what lies where."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from parrot_data.episodes.episode import ARRAY_FIELDS, Episode
from parrot_data.stores.zarr_store import METADATA, shard_length

METADATA_BYTES = 1024
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
            writers = {
                name: _ShardWriter(_create(group, name, row, num_episodes, layout))
                for name, row in rows.items()
            }
        for name, row in rows.items():
            writers[name].append(row)
    if count != num_episodes or not writers:
        raise ValueError(f"{num_episodes} episodes announced, {count} came")
    for writer in writers.values():
        writer.flush()


class _ShardWriter:
    """Buffers rows until they fill a shard, since only whole shards can be written."""

    def __init__(self, array: zarr.Array[Any]) -> None:
        self._array = array
        self._rows: list[NDArray[Any]] = []
        self._start = 0

    def append(self, row: NDArray[Any]) -> None:
        if row.shape != self._array.shape[1:] or row.dtype != self._array.dtype:
            raise ValueError(f"{self._array.name}: a row of {row.dtype}{row.shape} among others")
        self._rows.append(row)
        if len(self._rows) == shard_length(self._array):
            self.flush()

    def flush(self) -> None:
        if self._rows:
            stop = self._start + len(self._rows)
            self._array[self._start : stop] = np.stack(self._rows)
            self._start, self._rows = stop, []


def _create(
    group: zarr.Group, name: str, row: NDArray[Any], num_episodes: int, layout: ZarrLayout
) -> zarr.Array[Any]:
    factor = 1 if name == "images" else SMALL_ARRAY_FACTOR
    return group.create_array(
        name,
        shape=(num_episodes, *row.shape),
        dtype=row.dtype,
        chunks=(layout.episodes_per_chunk * factor, *row.shape),
        shards=(layout.episodes_per_shard * factor, *row.shape),
        compressors=ZstdCodec(level=layout.zstd_level, checksum=True),
        fill_value=0,
        # A shard of nothing but zeros must not look like a lost one.
        config={"write_empty_chunks": True},
    )


def _rows_of(episode: Episode) -> dict[str, NDArray[Any]]:
    text = json.dumps(episode.metadata(), sort_keys=True).encode()
    if len(text) > METADATA_BYTES:
        raise ValueError(f"episode {episode.index}: {len(text)} bytes of metadata")
    metadata = np.frombuffer(text.ljust(METADATA_BYTES, b"\0"), dtype=np.uint8)
    return {METADATA: metadata, **{name: getattr(episode, name) for name in ARRAY_FIELDS}}
