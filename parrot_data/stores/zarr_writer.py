"""Writing the Zarr store, shard by shard: see `zarr_layout` for what lies where."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.stores.zarr_layout import (
    EPISODE_ENDS,
    METADATA,
    METADATA_ENDS,
    ArrayLayout,
    StoredArray,
    arrays_of,
    groups_of,
)

# Uncompressed: a smaller chunk compresses worse, of a larger one more is read than is wanted.
CHUNK_BYTES = 1 << 21
# Rows of less than so many bytes go ten times as many to a chunk, and bytes of metadata, some
# hundred an episode, a thousand times: or a dataset would be hundreds of tiny files.
SHORT_ROW_BYTES, SHORT_ROW_FACTOR, BYTE_FACTOR = 1024, 10, 1000


@dataclass(frozen=True)
class ZarrLayout:
    """How rows lie in files; see `ShardParams`."""

    steps_per_chunk: int
    chunks_per_shard: int
    zstd_level: int


def write(path: Path, spec: EpisodeSpec, episodes: Iterable[Episode], layout: ZarrLayout) -> None:
    """Write episodes in their order, shard by shard; holds about one shard an array.

    Args:
        path: the store's folder; replaced if it exists.
        spec: of the episodes.
        episodes: at least one.
        layout: chunks, shards and compression.

    Raises:
        ValueError: an episode is not as the spec says, or there is none.
    """
    writers = {name: ShardWriter(array) for name, array in create(path, spec, layout).items()}
    num_steps = num_bytes = 0
    for episode in episodes:
        metadata = np.frombuffer(episode.metadata_text(), dtype=np.uint8)
        num_steps, num_bytes = num_steps + episode.num_steps, num_bytes + len(metadata)
        rows = {
            **episode.arrays(),
            EPISODE_ENDS: np.array([num_steps], dtype=np.int64),
            METADATA: metadata,
            METADATA_ENDS: np.array([num_bytes], dtype=np.int64),
        }
        if rows.keys() != writers.keys():
            raise ValueError(f"episode {episode.index} has other arrays than the spec names")
        for name, values in rows.items():
            writers[name].append(values)
    if not num_steps:
        raise ValueError("no episode to write")
    for writer in writers.values():
        writer.flush()


def create(path: Path, spec: EpisodeSpec, layout: ZarrLayout) -> dict[str, zarr.Array[Any]]:
    """Make a store whose arrays have no rows yet; gives these, by the names of `arrays_of`.

    Args:
        path: the store's folder; replaced if it exists.
        spec: of the episodes to come.
        layout: chunks, shards and compression.

    Raises:
        ValueError: no reader would take files of such a layout.
    """
    root = zarr.open_group(path, mode="w", zarr_format=3)
    for name in groups_of(spec)[1:]:
        root.create_group(name)
    return {
        name: _create(root, cut(array, layout), layout.zstd_level)
        for name, array in arrays_of(spec).items()
    }


def cut(array: StoredArray, layout: ZarrLayout) -> ArrayLayout:
    """How an array lies in files; it has no rows yet.

    Raises:
        ValueError: no reader would take them.
    """
    if array.dimensions[0] == "byte":
        factor = BYTE_FACTOR
    else:
        factor = SHORT_ROW_FACTOR if array.row_bytes < SHORT_ROW_BYTES else 1
    most = max(1, CHUNK_BYTES // array.row_bytes)
    chunk_rows = min(most, layout.steps_per_chunk * factor)
    found = ArrayLayout(array, 0, chunk_rows, chunk_rows * layout.chunks_per_shard)
    found.check()
    return found


class ShardWriter:
    """Collects rows until they fill a file of an array, since only whole files can be written.

    Args:
        array: grown where it has too few rows; no two processes may write rows of one file.
        first_row: of the rows to come; where a file begins.
    """

    def __init__(self, array: zarr.Array[Any], first_row: int = 0) -> None:
        assert array.shards is not None
        self._array = array
        self._rows = np.empty((array.shards[0], *array.shape[1:]), dtype=array.dtype)
        self._filled, self._written = 0, first_row

    def append(self, rows: NDArray[Any]) -> None:
        """Take rows in, and write the files that they fill.

        Raises:
            ValueError: they are not of the array's form.
        """
        if rows.shape[1:] != self._rows.shape[1:] or rows.dtype != self._rows.dtype:
            raise ValueError(f"{self._array.name}: rows of {rows.dtype}{rows.shape[1:]} in it")
        while len(rows):
            fitting = rows[: len(self._rows) - self._filled]
            self._rows[self._filled : self._filled + len(fitting)] = fitting
            self._filled += len(fitting)
            rows = rows[len(fitting) :]
            if self._filled == len(self._rows):
                self.flush()

    def flush(self) -> None:
        """Write what is collected, though the file be not full."""
        if self._filled:
            stop = self._written + self._filled
            if stop > self._array.shape[0]:
                self._array.resize((stop, *self._rows.shape[1:]))
            self._array[self._written : stop] = self._rows[: self._filled]
            self._written, self._filled = stop, 0


def _create(root: zarr.Group, cut: ArrayLayout, zstd_level: int) -> zarr.Array[Any]:
    array = cut.array
    return root.create_array(
        array.path,
        shape=(cut.num_rows, *array.row),
        dtype=array.dtype,
        chunks=(cut.chunk_rows, *array.row),
        shards=(cut.shard_rows, *array.row),
        compressors=ZstdCodec(level=zstd_level, checksum=True),
        fill_value=0,
        dimension_names=array.dimensions,
        # A shard of nothing but zeros must not look like a lost one.
        config={"write_empty_chunks": True},
    )
