"""Parquet files as they are written: columns of features, rows in files of bounded size."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from parrot_data.exchange.images import png_of
from parrot_data.exchange.lerobot.layout import (
    DATA_FILE_MB,
    FILES_PER_CHUNK,
    PARQUET_PATH,
    TASK,
    Feature,
)

try:
    import pyarrow as pa
    from pyarrow import parquet
except ModuleNotFoundError:  # it comes with the extra `exchange`
    pa = parquet = None

# A group of rows costs memory until its file is closed, and time when it is read
_ROWS_AT_ONCE, _BYTES_AT_ONCE = 1024, 1 << 25
_INDEX = "__index_level_0__"  # pandas' name of the column that is its index


class TableWriter:
    """Parquet files of one schema, a new one where the last has grown large.

    Args:
        folder: of the files, which is made.
        schema: of Arrow.
    """

    def __init__(self, folder: Path, schema: Any) -> None:
        self._folder, self._schema = folder, schema
        self._number = -1
        self._file: Any = None
        self._writer: Any = None
        self._waiting: list[Any] = []
        self._num_rows = self._num_bytes = 0  # of what waits

    def place(self) -> tuple[int, int]:
        """Chunk and file of what is written next, up to the next call of this."""
        if self._file is None or self._file.tell() >= DATA_FILE_MB << 20:
            self._close()
            self._number += 1
            path = self._folder / PARQUET_PATH.format(**self._place())
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            self._writer = parquet.ParquetWriter(
                self._file, self._schema, compression="snappy", use_dictionary=False
            )
        return tuple(self._place().values())  # type: ignore[return-value]

    def write(self, columns: list[Any]) -> None:
        """Write rows; they wait until there are enough of them for a group."""
        table = pa.Table.from_arrays(columns, schema=self._schema)
        self._waiting.append(table)
        self._num_rows += table.num_rows
        self._num_bytes += table.nbytes
        if self._num_rows >= _ROWS_AT_ONCE or self._num_bytes >= _BYTES_AT_ONCE:
            self._flush()

    def _place(self) -> dict[str, int]:
        chunk, file = divmod(self._number, FILES_PER_CHUNK)
        return {"chunk_index": chunk, "file_index": file}

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting))
            self._waiting, self._num_rows, self._num_bytes = [], 0, 0

    def _close(self) -> None:
        if self._file is not None:
            self._flush()
            self._writer.close()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


def column_of(rows: NDArray[Any], feature: Feature, first: int) -> Any:
    """Rows as an Arrow array; `first` is the step of the first of them."""
    kind = feature.arrow()
    if feature.dtype == "image":
        paths = [f"frame-{first + step:06d}.png" for step in range(len(rows))]
        columns = [pa.array(map(png_of, rows), pa.binary()), pa.array(paths, pa.string())]
        return pa.StructArray.from_arrays(columns, names=["bytes", "path"])
    flat = pa.array(np.ascontiguousarray(rows).ravel())
    return flat if feature.shape == (1,) else pa.FixedSizeListArray.from_arrays(flat, type=kind)


def lists_of(rows: NDArray[np.float64], shape: tuple[int, ...], kind: Any) -> Any:
    """Rows of numbers as lists of lists, of an Arrow type that ends in some kind of number."""
    leaf = kind
    for _ in shape:
        leaf = leaf.value_type
    found = pa.array(rows.ravel().astype(leaf.to_pandas_dtype()), leaf)
    for side in reversed(shape):
        offsets = pa.array(np.arange(0, len(found) + 1, side), pa.int32())
        found = pa.ListArray.from_arrays(offsets, found)
    return found


def write_tasks(path: Path, tasks: Sequence[str]) -> None:
    """Write the tasks, as pandas writes a table whose index they are."""
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    whole = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    described = {
        "index_columns": [_INDEX],
        "column_indexes": [],
        "columns": [
            {"name": TASK, "field_name": TASK, **whole},
            {"name": None, "field_name": _INDEX, **text},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    schema = pa.schema(
        [(TASK, pa.int64()), (_INDEX, pa.string())], {"pandas": json.dumps(described)}
    )
    columns = [pa.array(range(len(tasks)), pa.int64()), pa.array(tasks, pa.string())]
    parquet.write_table(pa.Table.from_arrays(columns, schema=schema), path)
