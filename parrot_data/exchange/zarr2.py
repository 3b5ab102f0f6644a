"""Arrays of Zarr format 2, in folders: written so that zarr 2.12 opens them, and read safely.

Not by zarr itself: it runs whatever codec a .zarray names, finds memory for whatever a chunk says
it unpacks to, reads lost chunks as zeros, and writes of codecs what versions before it refuse.
"""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path
from typing import Any

import numcodecs
import numpy as np
import zstandard
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.exchange.recording import MAX_BYTES, shown

_CHUNK_BYTES = 1 << 21  # of what is written, before it is compressed
# What ReplayBuffer.resolve_compressor("disk") gives, as numcodecs before 0.16 spells it.
_COMPRESSOR = {"id": "blosc", "cname": "zstd", "clevel": 5, "shuffle": 2, "blocksize": 0}
_KINDS = "biuf"
_MAX_AXES, _MAX_JSON_BYTES = 8, 1 << 20
_BLOSC_HEADER_BYTES = 16


class ArrayReader:
    """An array in its folder; one row of chunks of it is in memory.

    Args:
        path: the folder.
        said: what .zarray says of it.

    Attributes:
        path: the folder.
        dtype: of the numbers.
        shape: of the array.

    Raises:
        UserError: it is of a kind that is not read.
    """

    def __init__(self, path: Path, said: dict[str, Any]) -> None:
        self.path = path
        self.shape, self._chunks = _sides(said, "shape", path), _sides(said, "chunks", path)
        self.dtype = _dtype_of(said, path)
        self._compressor = _compressor_of(said, path)
        separator = said.get("dimension_separator", ".")
        if separator not in (".", "/") or said.get("order") != "C" or said.get("filters"):
            raise UserError(f"{path}: its .zarray names an order or filters: write it without.")
        if len(self._chunks) != len(self.shape) or not self.shape or min(self._chunks) < 1:
            raise UserError(f"{path}: chunks {self._chunks} do not cut an array of {self.shape}.")
        if math.prod((self._chunks[0], *self.row)) * self.dtype.itemsize > MAX_BYTES:
            raise UserError(f"{path} has chunks of more than {MAX_BYTES} bytes: cut it finer.")
        self._separator = separator
        self._recent: tuple[int, NDArray[Any]] | None = None

    @property
    def row(self) -> tuple[int, ...]:
        """Shape of a row."""
        return self.shape[1:]

    def rows(self, start: int, stop: int) -> NDArray[Any]:
        """Rows start to stop (exclusive).

        Raises:
            UserError: a chunk is missing or damaged.
        """
        found = np.empty((stop - start, *self.row), self.dtype)
        length = self._chunks[0]
        for number in range(start // length, -(-stop // length)):
            first = number * length
            low, high = max(start, first), min(stop, first + length)
            found[low - start : high - start] = self._band(number)[low - first : high - first]
        return found

    def _band(self, number: int) -> NDArray[Any]:
        """All chunks at a place of the first axis; the ones read last are kept."""
        if self._recent is None or self._recent[0] != number:
            band = np.empty((self._chunks[0], *self.row), self.dtype)
            counts = [-(-n // c) for n, c in zip(self.row, self._chunks[1:], strict=True)]
            for place in product(*map(range, counts)):
                chunk = self._chunk((number, *place))
                starts = [i * c for i, c in zip(place, self._chunks[1:], strict=True)]
                sides = [
                    min(c, n - s)
                    for c, n, s in zip(self._chunks[1:], self.row, starts, strict=True)
                ]
                target = (
                    slice(None),
                    *(slice(s, s + n) for s, n in zip(starts, sides, strict=True)),
                )
                band[target] = chunk[(slice(None), *map(slice, sides))]
            self._recent = number, band
        return self._recent[1]

    def _chunk(self, place: tuple[int, ...]) -> NDArray[Any]:
        path = self.path / self._separator.join(map(str, place))
        try:
            plain = _unpacked(
                path.read_bytes(), self._compressor, math.prod(self._chunks) * self.dtype.itemsize
            )
        except FileNotFoundError:
            raise UserError(
                f"{path} is missing, which zarr would read as zeros: restore it, or write the "
                "array again with write_empty_chunks=True."
            ) from None
        except (OSError, ValueError, RuntimeError, zlib.error, zstandard.ZstdError) as error:
            raise UserError(f"{path} is damaged ({shown(error)}): restore it.") from error
        return np.frombuffer(plain, self.dtype).reshape(self._chunks)


def open_array(path: Path) -> ArrayReader:
    """Open an array.

    Args:
        path: its folder.

    Raises:
        UserError: there is none, or of a kind that is not read.
    """
    said_in = path / ".zarray"
    try:
        if said_in.stat().st_size > _MAX_JSON_BYTES:
            raise ValueError("too large")
        said = json.loads(said_in.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"{path} is no array of Zarr format 2: {said_in.name} is missing."
        ) from None
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{said_in} cannot be read ({shown(error)}): restore it.") from error
    if not isinstance(said, dict) or said.get("zarr_format") != 2:
        raise UserError(f"{said_in} describes no array of Zarr format 2: write it in that.")
    return ArrayReader(path, said)


class ArrayWriter:
    """A new array of known shape, whose rows come in order; holds less than a chunk of them.

    Args:
        path: its folder, which is made.
        dtype: of the numbers.
        shape: of the array.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
        row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * dtype.itemsize
        chunk_rows = max(1, min(shape[0], _CHUNK_BYTES // row_bytes))
        self._path, self._shape, self._done = path, shape, 0
        self._rows = np.zeros((chunk_rows, *shape[1:]), dtype)
        self._filled = self._written = 0
        codec = {key: value for key, value in _COMPRESSOR.items() if key != "id"}
        self._codec = numcodecs.Blosc(**codec)
        path.mkdir()
        said = {
            "zarr_format": 2, "shape": shape, "chunks": self._rows.shape, "dtype": dtype.str,
            "compressor": _COMPRESSOR, "fill_value": 0, "order": "C", "filters": None,
        }  # fmt: skip
        if dtype.kind == "b":
            said["fill_value"] = False
        (path / ".zarray").write_text(json.dumps(said, indent=4, sort_keys=True), encoding="utf-8")

    def append(self, rows: NDArray[Any]) -> None:
        """Add rows."""
        self._done += len(rows)
        while len(rows):
            fitting = rows[: len(self._rows) - self._filled]
            self._rows[self._filled : self._filled + len(fitting)] = fitting
            self._filled += len(fitting)
            rows = rows[len(fitting) :]
            if self._filled == len(self._rows):
                self._flush()

    def close(self) -> None:
        """Write what is left; the last chunk is as large as the others, zeros at its end.

        Raises:
            ValueError: there came other rows than were announced.
        """
        if self._done != self._shape[0]:
            raise ValueError(f"{self._path.name} got {self._done} rows, not {self._shape[0]}")
        if self._filled:
            self._rows[self._filled :] = 0
            self._flush()

    def _flush(self) -> None:
        name = ".".join([str(self._written), *("0" for _ in self._shape[1:])])
        with _one_thread():
            packed = bytes(self._codec.encode(self._rows))
        (self._path / name).write_bytes(packed)
        self._written, self._filled = self._written + 1, 0


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let Blosc pack with one thread: several put their blocks in the order in which they end."""
    before = numcodecs.blosc.use_threads
    numcodecs.blosc.use_threads = False
    try:
        yield
    finally:
        numcodecs.blosc.use_threads = before


def _sides(said: dict[str, Any], key: str, path: Path) -> tuple[int, ...]:
    sides = said.get(key)
    is_shape = isinstance(sides, list) and len(sides) <= _MAX_AXES
    if not is_shape or not all(type(side) is int and 0 <= side <= 1 << 40 for side in sides or ()):
        raise UserError(f"{path}: its .zarray names no {key} by whole numbers: restore it.")
    return tuple(sides or ())


def _dtype_of(said: dict[str, Any], path: Path) -> np.dtype[Any]:
    name = said.get("dtype")
    try:
        dtype = np.dtype(name) if isinstance(name, str) else np.dtype(object)
    except TypeError:
        dtype = np.dtype(object)
    if dtype.kind not in _KINDS:
        raise UserError(
            f"{path} is of {shown(name)}, no plain numbers: leave it out of the folder."
        )
    return dtype


def _compressor_of(said: dict[str, Any], path: Path) -> str:
    """Name of the codec, "" for none; what else is said of it decides how it was written."""
    compressor = said.get("compressor")
    name = compressor.get("id") if isinstance(compressor, dict) else compressor
    if name not in (None, "blosc", "zstd", "zlib", "gzip"):
        raise UserError(
            f"{path} is compressed by {shown(name)}: write it with blosc, zstd, zlib or gzip."
        )
    return name or ""


def _unpacked(packed: bytes, compressor: str, num_bytes: int) -> bytes:
    """A chunk, of no more bytes than it must have."""
    if compressor == "blosc":
        sizes = [int.from_bytes(packed[at : at + 4], "little") for at in (4, 12)]
        if sizes != [num_bytes, len(packed)] or len(packed) < _BLOSC_HEADER_BYTES:
            raise ValueError(f"it does not unpack to {num_bytes} bytes")
        plain = bytes(numcodecs.Blosc().decode(packed))
    elif compressor == "zstd":
        with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
            plain = stream.read(num_bytes + 1)
    elif compressor:
        plain = zlib.decompressobj(47).decompress(packed, num_bytes + 1)  # both kinds of header
    else:
        plain = packed
    if len(plain) != num_bytes:
        raise ValueError(f"it does not unpack to {num_bytes} bytes")
    return plain
