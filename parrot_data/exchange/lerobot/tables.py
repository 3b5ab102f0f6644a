"""Rows of Parquet files of others, in order and few at a time, whatever the files claim."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.exchange.recording import MAX_BYTES, check_size, listed, regular_file, shown

try:
    import pyarrow as pa
    from pyarrow import parquet
except ModuleNotFoundError:  # it comes with the extra `exchange`
    pa = parquet = None

_MAX_ROWS = 1 << 30  # of all files together
_ROWS_AT_ONCE = 256
# A value that a file holds once can be in any number of rows, so that large ones are read fewer at
# a time.
_BYTES_AT_ONCE = 1 << 28


def parquet_files(root: Path, folder: str) -> list[Path]:
    """Files of a table, in the order of their rows.

    Raises:
        UserError: there are none.
    """
    found = sorted((root / folder).glob("*/*.parquet"), key=lambda path: path.as_posix())
    if not found:
        raise UserError(
            f"{root / folder} has no chunk-000/file-000.parquet: it is no dataset of LeRobot v3's, "
            "or only a part of one; download all of it."
        )
    return [regular_file(path) for path in found]


def num_rows(paths: Sequence[Path]) -> int:
    """How many rows files say that they have together.

    Raises:
        UserError: they cannot be read, or are too many.
    """
    total = 0
    for path in paths:
        with reading(path), parquet.ParquetFile(path) as file:
            total += file.metadata.num_rows
    if not 1 <= total <= _MAX_ROWS:
        raise UserError(f"{paths[0].parent} has {total} rows, 1 to {_MAX_ROWS} are known.")
    return total


class Rows:
    """The rows of a table, read on from where it is.

    Args:
        paths: its files.
        columns: names of those to read.
    """

    def __init__(self, paths: Sequence[Path], columns: Sequence[str]) -> None:
        self._batches = _batches(paths, columns)
        self._path = paths[0]
        self._batch: Any = None
        self._at = 0

    def take(self, count: int) -> Iterator[tuple[Path, Any]]:
        """The next rows, in batches of Arrow, each with the file it is from.

        Raises:
            UserError: a file is damaged, lacks a column, or there are fewer rows.
        """
        while count:
            if self._batch is None or self._at == self._batch.num_rows:
                self._path, self._batch = next(self._batches, (self._path, None))
                self._at = 0
                if self._batch is None:
                    raise UserError(f"{self._path} ends too early: download the dataset again.")
            part = self._batch.slice(self._at, count)
            self._at += part.num_rows
            count -= part.num_rows
            yield self._path, part


def _batches(paths: Sequence[Path], columns: Sequence[str]) -> Iterator[tuple[Path, Any]]:
    for path in paths:
        with reading(path), parquet.ParquetFile(path) as file:
            there = file.schema_arrow.names
            for column in columns:
                if there.count(column) != 1:
                    raise UserError(
                        f"{path} has no {shown(column)}, only {listed(there) or 'nothing'}: it is "
                        "no such dataset, or damaged; download it again."
                    )
            for group in range(file.metadata.num_row_groups):
                at_once = _rows_at_once(file.metadata.row_group(group), path)
                for batch in file.iter_batches(at_once, row_groups=[group], columns=list(columns)):
                    yield path, batch


def _rows_at_once(group: Any, path: Path) -> int:
    sizes = [group.column(i).total_uncompressed_size for i in range(group.num_columns)]
    largest = max(sizes, default=0)
    if largest > MAX_BYTES:
        raise UserError(f"{path} holds {largest} bytes of a column at once: write smaller groups.")
    return min(_ROWS_AT_ONCE, max(1, _BYTES_AT_ONCE // max(1, largest)))


def numbers_of(column: Any, shape: tuple[int, ...], where: str) -> NDArray[Any]:
    """A column of numbers, or of lists of as many, as an array.

    Args:
        column: an array of Arrow.
        shape: of a row: () or (D,).
        where: it is, to begin errors with.

    Raises:
        UserError: it holds anything else, or none in a row.
    """
    dim, flat = int(np.prod(shape)), column
    types = pa.types
    is_list = types.is_list(column.type) or types.is_fixed_size_list(column.type)
    if is_list or types.is_large_list(column.type):
        lengths = column.value_lengths().unique().to_pylist()
        if shape and not column.null_count and lengths in ([], [dim]):
            flat = column.flatten()
    kind = flat.type
    is_number = types.is_integer(kind) or types.is_floating(kind) or types.is_boolean(kind)
    if not is_number or flat.null_count or len(flat) != len(column) * dim:
        said = f"{dim} numbers" if shape else "a number"
        raise UserError(f"{where} is {shown(column.type)}, not {said} in each row: mend the file.")
    numbers = flat.to_numpy(zero_copy_only=False)
    check_size(where, numbers.dtype, (len(column), *shape))
    return np.asarray(numbers).reshape((len(column), *shape))


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What a library says of a damaged file, as one sentence."""
    try:
        yield
    except (
        pa.ArrowException, OSError, KeyError, ValueError, NotImplementedError, OverflowError,
        MemoryError, IndexError, TypeError,
    ) as error:  # fmt: skip
        reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise UserError(
            f"{path} cannot be read as Parquet ({reason}): restore it, or download it again."
        ) from error
