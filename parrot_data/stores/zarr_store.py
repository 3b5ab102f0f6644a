"""The Zarr store: Zarr v3, sharded, for random access to episodes by their position.

One array a field of the episode, its first axis the position; `metadata` holds the rest, a row of
zero-padded UTF-8 JSON an episode. A chunk is the unit of reading, a shard is one file. Here it is
read; `zarr_writer` writes it.

Any reader of Zarr v3 reads it, but this one is our own: Zarr reads a missing file as zeros, runs
the codecs that a zarr.json names, and finds memory for whatever a chunk says it unpacks to.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c
import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode, episode_from
from parrot_data.errors import UserError
from parrot_data.stores.packed import unpack
from parrot_data.stores.records import path_in
from parrot_data.stores.zarr_layout import METADATA, ArrayLayout, read_layouts

REMEDY = "run `parrot shard` again, or `dvc checkout`"
_CRC_BYTES = 4


class ZarrEpisodes:
    """Episodes by position.

    Args:
        path: the store's folder.
        num_episodes: what the manifest says it holds; None where there is no manifest.

    Raises:
        UserError: the store or one of its shards is missing (here and when reading), of another
            number of episodes, or damaged (when reading).
    """

    def __init__(self, path: Path, num_episodes: int | None = None) -> None:
        self._path = path
        try:
            self._layouts = read_layouts(path)
        except (ValueError, UserError) as error:
            raise UserError(f"{path} is no Zarr store ({error}): {REMEDY}.") from error
        if num_episodes not in (None, len(self)):
            raise UserError(
                f"{path} holds {len(self)} episodes where its manifest says {num_episodes}: "
                f"{REMEDY}."
            )
        for layout in self._layouts.values():
            for shard in range(layout.num_shards):
                self._require_shard(layout, shard)

    def __len__(self) -> int:
        return self._layouts[METADATA].num_rows

    def __getitem__(self, position: int) -> Episode:
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} of {len(self)} episodes")
        return self._read(position, position + 1)[0]

    def __iter__(self) -> Iterator[Episode]:
        step = self._layouts["images"].chunk_rows
        for start in range(0, len(self), step):
            yield from self._read(start, min(start + step, len(self)))

    def read_array(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """One field of the episodes at positions start to stop (exclusive), stacked."""
        layout = self._layouts[name]
        length = layout.shard_rows
        pieces = [
            self._read_shard(
                layout, shard, max(0, start - shard * length), min(length, stop - shard * length)
            )
            for shard in range(start // length, -(-stop // length))
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _read(self, start: int, stop: int) -> list[Episode]:
        arrays = {name: self.read_array(name, start, stop) for name in self._layouts}
        episodes = []
        for i, row in enumerate(arrays.pop(METADATA)):
            try:
                metadata = json.loads(row.tobytes().rstrip(b"\0"))
                episodes.append(episode_from(metadata, {n: a[i] for n, a in arrays.items()}))
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"{self._path}: the metadata at position {start + i} are damaged "
                    f"({error!r}): {REMEDY}."
                ) from error
        return episodes

    def _read_shard(self, layout: ArrayLayout, shard: int, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop (exclusive) of a shard."""
        path = self._require_shard(layout, shard)
        length = layout.chunk_rows
        try:
            with path.open("rb") as file:
                places = _index_of(file, layout)
                first = start // length
                chunks = [
                    _chunk_of(file, layout, *places[number])
                    for number in range(first, -(-stop // length))
                ]
        except (OSError, ValueError) as error:
            raise UserError(f"{path} is truncated or damaged ({error}): {REMEDY}.") from error
        rows = chunks[0] if len(chunks) == 1 else np.concatenate(chunks)
        return rows[start - first * length : stop - first * length]

    def _require_shard(self, layout: ArrayLayout, shard: int) -> Path:
        name = layout.shard_name(shard)
        file = self._path / name
        # An empty file reads as zeros with Zarr: it is as good as lost.
        if not file.is_file() or file.stat().st_size == 0:
            raise UserError(f"{file} is missing or empty: {REMEDY}.")
        return path_in(self._path, name)


def _index_of(file: BinaryIO, layout: ArrayLayout) -> list[tuple[int, int]]:
    """Offset and size of every chunk of a shard, which stand at the file's end."""
    num_chunks = layout.shard_rows // layout.chunk_rows
    num_bytes = 16 * num_chunks + _CRC_BYTES
    size = file.seek(0, 2)
    if num_bytes > size:
        raise ValueError(f"it has no room for an index of {num_chunks} chunks")
    file.seek(size - num_bytes)
    content = file.read(num_bytes)
    index, crc = content[:-_CRC_BYTES], content[-_CRC_BYTES:]
    if google_crc32c.value(index) != int.from_bytes(crc, "little"):
        raise ValueError("the checksum of its index is wrong")
    places = np.frombuffer(index, "<u8").reshape(num_chunks, 2).tolist()
    return [(int(offset), int(length)) for offset, length in places]


def _chunk_of(file: BinaryIO, layout: ArrayLayout, offset: int, size: int) -> NDArray[Any]:
    if offset + size > file.seek(0, 2):
        raise ValueError("a chunk is lost, or said to lie outside of it")
    file.seek(offset)
    plain = unpack(file.read(size), layout.chunk_bytes, layout.chunk_bytes)
    return np.frombuffer(plain, layout.dtype).reshape(layout.chunk_rows, *layout.row).copy()
