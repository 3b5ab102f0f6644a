"""How an array of episodes lies in the files of the Zarr store: what its zarr.json may say.

A zarr.json names codecs and sizes, which Zarr takes as they are. Only the one layout that `shard`
writes is read, within the bounds of an episode's form, and before a chunk is opened.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parrot_data.episodes.episode import ARRAY_FIELDS, FORMS, METADATA_BYTES
from parrot_data.stores.publish import read_json

METADATA = "metadata"
GROUP = {"attributes": {}, "node_type": "group", "zarr_format": 3}
MAX_CHUNK_BYTES = 1 << 29  # uncompressed: a chunk is read as a whole


@dataclass(frozen=True)
class ArrayLayout:
    """An array of N episodes, cut along its first axis.

    Attributes:
        name: of the array.
        dtype: of Zarr: "uint8" or "float32".
        num_rows: N, a row an episode.
        row: shape of a row.
        chunk_rows: rows that are compressed together.
        shard_rows: rows of one file, a multiple of `chunk_rows`.
    """

    name: str
    dtype: str
    num_rows: int
    row: tuple[int, ...]
    chunk_rows: int
    shard_rows: int

    @property
    def chunk_bytes(self) -> int:
        """Size of a chunk, uncompressed."""
        rows = self.chunk_rows * int(np.prod(self.row, dtype=np.int64))
        return rows * np.dtype(self.dtype).itemsize

    @property
    def num_shards(self) -> int:
        """Files of the array."""
        return -(-self.num_rows // self.shard_rows)

    def shard_name(self, shard: int) -> str:
        """Name of a file, relative to the store."""
        return "/".join([self.name, "c", str(shard), *("0" for _ in self.row)])

    def check(self) -> None:
        """Refuse what cannot be an array of episodes.

        Raises:
            ValueError: it is none, or its chunks are larger than `MAX_CHUNK_BYTES`.
        """
        if self.name == METADATA:
            if (self.dtype, self.row) != ("uint8", (METADATA_BYTES,)):
                raise ValueError(f"rows of {self.dtype}{self.row} are no metadata")
        else:
            FORMS[self.name].check(self.name, np.dtype(self.dtype).str, self.row)
        if self.shard_rows % self.chunk_rows or self.chunk_bytes > MAX_CHUNK_BYTES:
            raise ValueError(
                f"{self.name} in files of {self.shard_rows} rows and chunks of {self.chunk_rows}, "
                f"which must divide them and be {MAX_CHUNK_BYTES} bytes at most"
            )


def read_layouts(store: Path) -> dict[str, ArrayLayout]:
    """The layout of every array of a store, by name.

    Raises:
        UserError: a zarr.json is missing or holds no JSON.
        ValueError: one is not as `shard` writes it, or arrays differ in the number of episodes.
    """
    if read_json(store / "zarr.json") != GROUP:
        raise ValueError("its zarr.json is not as `shard` writes it")
    names = (*ARRAY_FIELDS, METADATA)
    layouts = {name: _layout_of(name, read_json(store / name / "zarr.json")) for name in names}
    if len({layout.num_rows for layout in layouts.values()}) != 1:
        raise ValueError("its arrays differ in the number of episodes")
    return layouts


def _layout_of(name: str, value: Any) -> ArrayLayout:
    try:
        shape = _sizes(value["shape"])
        shard = _sizes(value["chunk_grid"]["configuration"]["chunk_shape"])
        sharding = value["codecs"][0]["configuration"]
        chunk = _sizes(sharding["chunk_shape"])
        level = sharding["codecs"][1]["configuration"]["level"]
        layout = ArrayLayout(name, value["data_type"], shape[0], shape[1:], chunk[0], shard[0])
        is_expected = layout.dtype in ("uint8", "float32") and value == _written(layout, level)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        raise ValueError(f"{name}/zarr.json describes no array of episodes ({error!r})") from error
    if not is_expected:
        raise ValueError(f"{name}/zarr.json is not as `shard` writes it")
    layout.check()
    return layout


def _sizes(value: Any) -> tuple[int, ...]:
    # True and 1.0 equal 1 and yet are none.
    if not all(type(size) is int and 1 <= size <= 10**12 for size in value):
        raise TypeError(f"{str(value)[:100]} are no sizes")
    return tuple(value)


def _written(layout: ArrayLayout, level: int) -> dict[str, Any]:
    """What zarr.json says of an array of this layout."""
    endian = {"name": "bytes", "configuration": {"endian": "little"}}
    one_byte = {"name": "bytes"}
    compressor = {"name": "zstd", "configuration": {"level": level, "checksum": True}}
    sharding = {
        "chunk_shape": [layout.chunk_rows, *layout.row],
        "codecs": [one_byte if layout.dtype == "uint8" else endian, compressor],
        "index_codecs": [endian, {"name": "crc32c"}],
        "index_location": "end",
    }
    shard = {"chunk_shape": [layout.shard_rows, *layout.row]}
    return {
        "zarr_format": 3,
        "node_type": "array",
        "shape": [layout.num_rows, *layout.row],
        "data_type": layout.dtype,
        "chunk_grid": {"name": "regular", "configuration": shard},
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}},
        "fill_value": 0,
        "codecs": [{"name": "sharding_indexed", "configuration": sharding}],
        "attributes": {},
        "storage_transformers": [],
    }
