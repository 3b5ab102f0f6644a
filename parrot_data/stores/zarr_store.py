"""The Zarr store: Zarr v3, sharded, for random access to episodes and to ranges of their rows.

Steps of all episodes follow one another, episodes are told by their ends; see `zarr_layout`. A
chunk is the unit of reading, a shard is one file. Here it is read; `zarr_writer` writes it.

Any reader of Zarr v3 reads it, but this one is our own: Zarr reads a missing file as zeros, runs
the codecs that a zarr.json names, and finds memory for whatever a chunk says it unpacks to.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import (
    MAX_STEPS,
    METADATA_BYTES,
    Episode,
    episode_from,
    forms_of,
)
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.manifest import ShardsManifest
from parrot_data.stores.packed import MAX_ARRAY_BYTES, parse_metadata, unpack
from parrot_data.stores.records import path_in
from parrot_data.stores.zarr_layout import (
    EPISODE_ENDS,
    METADATA,
    METADATA_ENDS,
    ArrayLayout,
    read_layouts,
)

REMEDY = "run `parrot shard` again, or `dvc checkout`"
_CRC_BYTES = 4


def zarr_of(folder: Path, manifest: ShardsManifest) -> ZarrEpisodes:
    """The Zarr store of a dataset.

    Raises:
        UserError: as `ZarrEpisodes`, or it is of other counts than the manifest says.
    """
    return ZarrEpisodes(
        folder / manifest.zarr, manifest.spec, manifest.num_episodes, manifest.num_transitions
    )


class ZarrEpisodes:
    """Episodes by position.

    Args:
        path: the store's folder.
        spec: of the episodes.
        num_episodes: what the manifest says it holds; None where there is no manifest.
        num_transitions: the same of their steps.

    Attributes:
        spec: of the episodes.

    Raises:
        UserError: the store or one of its shards is missing (here and when reading), of other
            counts, or damaged (here and when reading).
    """

    def __init__(
        self,
        path: Path,
        spec: EpisodeSpec,
        num_episodes: int | None = None,
        num_transitions: int | None = None,
    ) -> None:
        self._path, self.spec = path, spec
        self._forms = forms_of(spec)
        self._recent: dict[str, tuple[int, NDArray[Any]]] = {}
        try:
            self._layouts = read_layouts(path, spec)
        except (ValueError, UserError) as error:
            raise UserError(f"{path} is no Zarr store ({error}): {REMEDY}.") from error
        self._check_count("episodes", self._layouts[EPISODE_ENDS], num_episodes)
        self._check_count("transitions", self._layouts["actions"], num_transitions)
        for layout in self._layouts.values():
            for shard in range(layout.num_shards):
                self._require_shard(layout, shard)
        self._check_ends(EPISODE_ENDS, "actions", MAX_STEPS)
        self._check_ends(METADATA_ENDS, METADATA, METADATA_BYTES)

    def __len__(self) -> int:
        return self._layouts[EPISODE_ENDS].num_rows

    def __getitem__(self, position: int) -> Episode:
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} of {len(self)} episodes")
        try:
            arrays = {name: self._array_at(name, position) for name in self._forms}
            start, stop = self._range_at(METADATA_ENDS, position)
            metadata = parse_metadata(self.read_rows(METADATA, start, stop).tobytes())
            return episode_from(metadata, arrays, self.spec)
        except ValueError as error:
            raise UserError(
                f"{self._path}: the episode at position {position} is damaged ({error!r}): "
                f"{REMEDY}."
            ) from error

    def __iter__(self) -> Iterator[Episode]:
        return (self[position] for position in range(len(self)))

    def rows_at(self, name: str, position: int) -> tuple[int, int]:
        """First row, and the one after the last, of an array of the episode at a position."""
        start, stop = self._range_at(EPISODE_ENDS, position)
        num_extra = self._forms[name].num_extra
        return start + num_extra * position, stop + num_extra * (position + 1)

    def read_rows(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop (exclusive) of an array, whichever episodes they belong to.

        A chunk is unpacked once if rows are read in their order.

        Args:
            name: as in `Episode.arrays`: "actions", "observation.image", ...
            start: first row; there are T an episode, or T + 1 of observations and privileged ones.
            stop: the row after the last.
        """
        layout = self._layouts[name]
        if not 0 <= start <= stop <= layout.num_rows:
            raise IndexError(f"rows {start} to {stop} of {layout.num_rows} of {name}")
        rows = np.empty((stop - start, *layout.array.row), layout.array.dtype)
        length = layout.chunk_rows
        for chunk in range(start // length, -(-stop // length)):
            first = chunk * length
            low, high = max(start, first), min(stop, first + length)
            values = self._chunk(name, layout, chunk)
            rows[low - start : high - start] = values[low - first : high - first]
        return rows

    def _range_at(self, name: str, position: int) -> tuple[int, int]:
        """What ends say of an episode: they are not kept in memory, where each would be 8 bytes."""
        ends = self.read_rows(name, max(0, position - 1), position + 1).tolist()
        return (ends[0] if position else 0), ends[-1]

    def _array_at(self, name: str, position: int) -> NDArray[Any]:
        start, stop = self.rows_at(name, position)
        num_bytes = (stop - start) * self._layouts[name].array.row_bytes
        if num_bytes > MAX_ARRAY_BYTES:
            raise ValueError(f"{name} of {num_bytes} bytes, of {MAX_ARRAY_BYTES} that are read")
        return self.read_rows(name, start, stop)

    def _check_count(self, what: str, layout: ArrayLayout, wanted: int | None) -> None:
        if wanted not in (None, layout.num_rows):
            raise UserError(
                f"{self._path} holds {layout.num_rows} {what} where its manifest says {wanted}: "
                f"{REMEDY}."
            )

    def _check_ends(self, name: str, counted: str, most: int) -> None:
        """See that there are from 1 to `most` rows of an array between an end and the next."""
        layout, last = self._layouts[name], 0
        # Chunk by chunk: what is read is held against what it must be before more is.
        for start in range(0, layout.num_rows, layout.chunk_rows):
            ends = self.read_rows(name, start, min(start + layout.chunk_rows, layout.num_rows))
            sizes = np.diff(ends, prepend=last)
            if sizes.min() < 1 or sizes.max() > most:
                raise UserError(f"{self._path}: {name} are no ends of episodes: {REMEDY}.")
            last = int(ends[-1])
        if last != self._layouts[counted].num_rows:
            raise UserError(
                f"{self._path}: {name} end at {last}, but {counted} has "
                f"{self._layouts[counted].num_rows} rows: {REMEDY}."
            )

    def _chunk(self, name: str, layout: ArrayLayout, chunk: int) -> NDArray[Any]:
        """Rows of a chunk; the one of each array that was read last is kept."""
        recent = self._recent.get(name)
        if recent is None or recent[0] != chunk:
            shard, number = divmod(chunk, layout.chunks_per_shard)
            recent = chunk, self._read_chunk(layout, shard, number)
            self._recent[name] = recent
        return recent[1]

    def _read_chunk(self, layout: ArrayLayout, shard: int, number: int) -> NDArray[Any]:
        path = self._require_shard(layout, shard)
        try:
            with path.open("rb") as file:
                return _chunk_of(file, layout, *_place_of(file, layout, number))
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is truncated or damaged ({error}): {REMEDY}.") from error

    def _require_shard(self, layout: ArrayLayout, shard: int) -> Path:
        name = layout.shard_name(shard)
        file = self._path / name
        # An empty file reads as zeros with Zarr: it is as good as lost.
        if not file.is_file() or file.stat().st_size == 0:
            raise UserError(f"{file} is missing or empty: {REMEDY}.")
        return path_in(self._path, name)


def _place_of(file: BinaryIO, layout: ArrayLayout, number: int) -> tuple[int, int]:
    """Offset and size of a chunk of a shard, from the index at the file's end."""
    num_bytes = 16 * layout.chunks_per_shard + _CRC_BYTES
    size = file.seek(0, 2)
    if num_bytes > size:
        raise ValueError(f"it has no room for an index of {layout.chunks_per_shard} chunks")
    file.seek(size - num_bytes)
    content = file.read(num_bytes)
    index, crc = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
    if google_crc32c.value(index) != int.from_bytes(crc, "little"):
        raise ValueError("the checksum of its index is wrong")
    offset, length = np.frombuffer(index, "<u8").reshape(-1, 2)[number].tolist()
    return int(offset), int(length)


def _chunk_of(file: BinaryIO, layout: ArrayLayout, offset: int, size: int) -> NDArray[Any]:
    if offset + size > file.seek(0, 2):
        raise ValueError("a chunk is lost, or said to lie outside of it")
    file.seek(offset)
    plain = unpack(file.read(size), layout.chunk_bytes, layout.chunk_bytes)
    return np.frombuffer(plain, layout.array.dtype).reshape(layout.chunk_rows, *layout.array.row)
