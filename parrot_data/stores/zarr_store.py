"""The Zarr store: Zarr v3, sharded, for random access to episodes by their position.

One array a field of the episode, its first axis the position; `metadata` holds the rest, a row of
zero-padded UTF-8 JSON an episode. A chunk is the unit of reading, a shard is one file. Here it is
read; `zarr_writer` writes it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from numpy.typing import NDArray

from parrot_data.episodes.episode import ARRAY_FIELDS, Episode, episode_from
from parrot_data.errors import UserError

METADATA = "metadata"
REMEDY = "run `parrot shard` again, or `dvc checkout`"


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
            for shard in range(-(-array.shape[0] // shard_length(array))):
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
        length = shard_length(self._arrays[name])
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


def shard_length(array: zarr.Array[Any]) -> int:
    """Rows of one file of an array."""
    if array.shards is None:
        raise TypeError(f"{array.name} is not sharded")
    return array.shards[0]
