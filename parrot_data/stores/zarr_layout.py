"""How the arrays of the Zarr store are named, shaped and cut: what a zarr.json may say.

A zarr.json names codecs and sizes, which Zarr takes as they are. Only the one layout that `shard`
writes is read, within the bounds that the spec sets, and before a chunk is opened.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from parrot_data.episodes.episode import OBSERVATION, PRIVILEGED, ArrayForm, forms_of
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.stores.publish import read_json

EPISODE_ENDS, METADATA, METADATA_ENDS = "episode_ends", "metadata", "metadata_ends"
MAX_CHUNK_BYTES = 1 << 26  # uncompressed: a chunk is read as a whole
_FOLDERS = {OBSERVATION: "observations", PRIVILEGED: "privileged"}
# What there is a row for.
Axis = Literal["step", "observation", "episode", "byte"]


@dataclass(frozen=True)
class StoredArray:
    """An array of the store, however its rows are cut.

    Attributes:
        path: in the store, such as "observations/image".
        dtype: as Zarr spells it, such as "uint8".
        row: shape of a row.
        dimensions: names of the axes; the first says what there is a row for.
    """

    path: str
    dtype: str
    row: tuple[int, ...]
    dimensions: tuple[str, ...]

    @property
    def row_bytes(self) -> int:
        """Size of a row."""
        return math.prod(self.row) * np.dtype(self.dtype).itemsize


def arrays_of(spec: EpisodeSpec) -> dict[str, StoredArray]:
    """The arrays of a store: those of `Episode.arrays` by their names there, and three of its own.

    Rows of all episodes follow one another. `episode_ends` (E,) counts the steps up to the end of
    each, `metadata_ends` (E,) the bytes of `metadata`, an episode's JSON after the other's.
    """
    return {
        **{name: _stored(name, form, spec) for name, form in forms_of(spec).items()},
        EPISODE_ENDS: StoredArray(EPISODE_ENDS, "int64", (), ("episode",)),
        METADATA_ENDS: StoredArray(METADATA_ENDS, "int64", (), ("episode",)),
        METADATA: StoredArray(METADATA, "uint8", (), ("byte",)),
    }


def _stored(name: str, form: ArrayForm, spec: EpisodeSpec) -> StoredArray:
    kind, _, own = name.rpartition(".")
    if kind == OBSERVATION and own in spec.images:
        inner: tuple[str, ...] = (f"{own}_height", f"{own}_width", "rgb")
    else:
        inner = tuple(f"{own}_{axis}" for axis in range(len(form.row)))
    return StoredArray(
        f"{_FOLDERS[kind]}/{own}" if kind else own,
        np.dtype(form.dtype).name,
        form.row,
        ("observation" if form.num_extra else "step", *inner),
    )


def groups_of(spec: EpisodeSpec) -> list[str]:
    """Groups of a store, its root ("") first."""
    folders = {array.path.rpartition("/")[0] for array in arrays_of(spec).values()}
    return sorted(folders)


@dataclass(frozen=True)
class ArrayLayout:
    """An array of N rows, cut along its first axis.

    Attributes:
        array: which.
        num_rows: N.
        chunk_rows: rows that are compressed together.
        shard_rows: rows of one file, a multiple of `chunk_rows`.
    """

    array: StoredArray
    num_rows: int
    chunk_rows: int
    shard_rows: int

    @property
    def chunk_bytes(self) -> int:
        """Size of a chunk, uncompressed."""
        return self.chunk_rows * self.array.row_bytes

    @property
    def chunks_per_shard(self) -> int:
        """Chunks of a file."""
        return self.shard_rows // self.chunk_rows

    @property
    def num_shards(self) -> int:
        """Files of the array."""
        return -(-self.num_rows // self.shard_rows)

    def shard_name(self, shard: int) -> str:
        """Name of a file, relative to the store."""
        return "/".join([self.array.path, "c", str(shard), *("0" for _ in self.array.row)])

    def check(self) -> None:
        """Refuse what no reader would take.

        Raises:
            ValueError: chunks do not divide files, or are larger than `MAX_CHUNK_BYTES`.
        """
        if self.shard_rows % self.chunk_rows or self.chunk_bytes > MAX_CHUNK_BYTES:
            raise ValueError(
                f"{self.array.path} in files of {self.shard_rows} rows and chunks of "
                f"{self.chunk_rows}, which must divide them and be {MAX_CHUNK_BYTES} bytes at most"
            )


def read_layouts(store: Path, spec: EpisodeSpec) -> dict[str, ArrayLayout]:
    """The layout of every array of a store, by the names of `arrays_of`.

    Raises:
        UserError: a zarr.json is missing or holds no JSON.
        ValueError: one is not as `shard` writes it for such a spec, or counts of rows differ.
    """
    group = {"attributes": {}, "node_type": "group", "zarr_format": 3}
    for name in groups_of(spec):
        if read_json(store / name / "zarr.json") != group:
            raise ValueError(f"{name or 'its'} zarr.json is not as `shard` writes it")
    layouts = {
        name: _layout_of(array, read_json(store / array.path / "zarr.json"))
        for name, array in arrays_of(spec).items()
    }
    _check_rows(layouts)
    return layouts


def _check_rows(layouts: Mapping[str, ArrayLayout]) -> None:
    """Hold the counts of rows against each other; `byte` alone is known from its ends."""
    num_episodes, num_steps = (layouts[name].num_rows for name in (EPISODE_ENDS, "actions"))
    wanted = {
        "episode": num_episodes, "step": num_steps, "observation": num_steps + num_episodes,
        "byte": layouts[METADATA].num_rows,
    }  # fmt: skip
    for name, layout in layouts.items():
        axis = layout.array.dimensions[0]
        if layout.num_rows != wanted[axis]:
            raise ValueError(f"{name} has {layout.num_rows} rows, not {wanted[axis]}")


def _layout_of(array: StoredArray, value: Any) -> ArrayLayout:
    where = f"{array.path}/zarr.json"
    try:
        shape = _sizes(value["shape"])
        shard = _sizes(value["chunk_grid"]["configuration"]["chunk_shape"])
        sharding = value["codecs"][0]["configuration"]
        chunk = _sizes(sharding["chunk_shape"])
        level = sharding["codecs"][1]["configuration"]["level"]
        layout = ArrayLayout(array, shape[0], chunk[0], shard[0])
        is_expected = type(level) is int and value == _written(layout, level)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{where} describes no array of episodes ({error!r})") from error
    if not is_expected:
        raise ValueError(f"{where} is not as `shard` writes it for the manifest's spec")
    layout.check()
    return layout


def _sizes(value: Any) -> tuple[int, ...]:
    # True and 1.0 equal 1 and yet are none.
    if not all(type(size) is int and 1 <= size <= 10**12 for size in value):
        raise TypeError(f"{str(value)[:100]} are no sizes")
    return tuple(value)


def _written(layout: ArrayLayout, level: int) -> dict[str, Any]:
    """What zarr.json says of an array of this layout."""
    array = layout.array
    endian = {"name": "bytes", "configuration": {"endian": "little"}}
    one_byte = {"name": "bytes"}
    compressor = {"name": "zstd", "configuration": {"level": level, "checksum": True}}
    sharding = {
        "chunk_shape": [layout.chunk_rows, *array.row],
        "codecs": [one_byte if np.dtype(array.dtype).itemsize == 1 else endian, compressor],
        "index_codecs": [endian, {"name": "crc32c"}],
        "index_location": "end",
    }
    shard = {"chunk_shape": [layout.shard_rows, *array.row]}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [layout.num_rows, *array.row],
        "data_type": array.dtype,
        "chunk_grid": {"name": "regular", "configuration": shard},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": {},
        "storage_transformers": [],
        "dimension_names": list(array.dimensions),
    }
