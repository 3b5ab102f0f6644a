"""The Zarr store: Zarr v3, sharded, for random access to episodes by their position.

One array a field of the episode, its first axis the position; `metadata` holds the rest, a row of
zero-padded UTF-8 JSON an episode. A chunk is the unit of reading, a shard is one file.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray
from zarr.codecs import ZstdCodec

from parrot_data.episodes.episode import ARRAY_FIELDS, Episode, episode_from
from parrot_data.errors import UserError

METADATA = "metadata"
METADATA_BYTES = 1024
# An episode's images are 60 times its other arrays: those go ten times as many to a chunk and to
# a shard, or a data set would be hundreds of tiny files.
SMALL_ARRAY_FACTOR = 10

REMEDY = "run `parrot shard` again, or `dvc checkout`"


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


class ZarrEpisodes:
    """Episodes by position. Zarr reads a missing file as zeros; this refuses to.

    Args:
        path: the store's folder.

    Raises:
        UserError: the store or one of its shards is missing (here and when reading), or damaged
            (when reading).
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            group = zarr.open_group(path, mode="r", zarr_format=3)
        except (OSError, TypeError, ValueError) as error:
            raise UserError(f"{path} is no Zarr store ({error}): {REMEDY}.") from error
        self._arrays = {name: _open(path, group, name) for name in (*ARRAY_FIELDS, METADATA)}
        for name, array in self._arrays.items():
            for shard in range(-(-array.shape[0] // _shard_length(array))):
                self._require_shard(name, shard)

    def __len__(self) -> int:
        return int(self._arrays[METADATA].shape[0])

    def __getitem__(self, position: int) -> Episode:
        if not 0 <= position < len(self):
            raise IndexError(f"position {position} of {len(self)} episodes")
        return self._read(position, position + 1)[0]

    def __iter__(self) -> Iterator[Episode]:
        step = self._arrays["images"].chunks[0]
        for start in range(0, len(self), step):
            yield from self._read(start, min(start + step, len(self)))

    def read_array(self, name: str, start: int, stop: int) -> NDArray[Any]:
        """One field of the episodes at positions start to stop (exclusive), stacked."""
        length = _shard_length(self._arrays[name])
        pieces = [
            self._read_shard(
                name, shard, max(start, shard * length), min(stop, (shard + 1) * length)
            )
            for shard in range(start // length, -(-stop // length))
        ]
        return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)

    def _read(self, start: int, stop: int) -> list[Episode]:
        arrays = {name: self.read_array(name, start, stop) for name in self._arrays}
        episodes = []
        for i, row in enumerate(arrays.pop(METADATA)):
            try:
                metadata = json.loads(row.tobytes().rstrip(b"\0"))
                episodes.append(episode_from(metadata, {n: a[i] for n, a in arrays.items()}))
            except (KeyError, TypeError, ValueError) as error:
                raise UserError(
                    f"{self._path}: the metadata at position {start + i} are damaged "
                    f"({error!r}): {REMEDY}."
                ) from error
        return episodes

    def _read_shard(self, name: str, shard: int, start: int, stop: int) -> NDArray[Any]:
        file = self._require_shard(name, shard)
        try:
            return np.asarray(self._arrays[name][start:stop])
        except (OSError, RuntimeError, ValueError) as error:
            raise UserError(f"{file} is truncated or damaged ({error}): {REMEDY}.") from error

    def _require_shard(self, name: str, shard: int) -> Path:
        inner = ["0"] * (self._arrays[name].ndim - 1)
        file = self._path.joinpath(name, "c", str(shard), *inner)
        # An empty file reads as zeros, too.
        if not file.is_file() or file.stat().st_size == 0:
            raise UserError(f"{file} is missing or empty: {REMEDY}.")
        return file


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
        if len(self._rows) == _shard_length(self._array):
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


def _open(path: Path, group: zarr.Group, name: str) -> zarr.Array[Any]:
    try:
        array = group[name]
        if not isinstance(array, zarr.Array) or array.shards is None:
            raise TypeError("it is not sharded")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{path / name} is missing or no array of episodes ({error!r}): {REMEDY}."
        ) from error
    return array


def _shard_length(array: zarr.Array[Any]) -> int:
    if array.shards is None:
        raise TypeError(f"{array.name} is not sharded")
    return array.shards[0]
