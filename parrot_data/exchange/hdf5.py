"""HDF5 files of others: read by hard links inside one file alone, sizes before bytes; written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.exchange.recording import check_size, listed, regular_file, shown

try:
    import h5py
except ModuleNotFoundError:  # it comes with the extra `exchange`
    h5py = None

_CHUNK_BYTES = 1 << 19  # of an image that is written, before it is compressed
_MAX_DEPTH, _MAX_LEAVES = 8, 1000  # of groups in groups, and of all in them


class Node:
    """A group of an open file.

    Args:
        group: of h5py.
        where: it is, to begin errors with.
    """

    def __init__(self, group: Any, where: str) -> None:
        self._group, self.where = group, where

    def names(self) -> list[str]:
        """Of what is in it, sorted."""
        return sorted(self._group.keys())

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def group(self, name: str) -> Node:
        """A group in this one.

        Raises:
            UserError: there is none, or the name leads elsewhere.
        """
        found = self._child(name)
        if not isinstance(found, h5py.Group):
            raise UserError(f"{self._at(name)} is no group: it is not such a file; name another.")
        return Node(found, self._at(name))

    def is_group(self, name: str) -> bool:
        """Whether a name in it is that of a group."""
        return isinstance(self._child(name), h5py.Group)

    def array(self, name: str) -> NDArray[Any]:
        """An array of plain numbers in this group, once its size is known to be bearable.

        Raises:
            UserError: there is none, it is of other kinds, too large, or lies elsewhere.
        """
        found = self._dataset(name)
        check_size(self._at(name), found.dtype, found.shape)
        return np.asarray(found[()])

    def num_axes(self, name: str) -> int:
        """How many axes an array has."""
        return len(self._dataset(name).shape)

    def rows_of_bytes(self, name: str) -> list[bytes]:
        """An array of byte strings, such as encoded images; see `array`."""
        found = self._dataset(name)
        if found.dtype != np.uint8 and h5py.check_vlen_dtype(found.dtype) != np.uint8:
            raise UserError(f"{self._at(name)} holds no encoded images: it cannot be read.")
        check_size(self._at(name), np.dtype(np.uint8), found.shape)
        return [np.asarray(row).tobytes() for row in found[()]]

    def arrays(self, name: str) -> dict[str, NDArray[Any]]:
        """All arrays of a group and of the groups in it, by names joined by "/"."""
        self.group(name)
        return {"/".join(place): node.array(each) for node, each, place in self.leaves(name)}

    def leaves(self, name: str) -> list[tuple[Node, str, tuple[str, ...]]]:
        """Where arrays are: the group each is in, its name there, and the names that lead to it.

        An array itself is its only one, to which no names lead.

        Raises:
            UserError: there are too many, as where a group is in itself.
        """
        waiting: list[tuple[Node, str, tuple[str, ...]]] = [(self, name, ())]
        found, seen = [], 0
        while waiting:
            node, each, place = waiting.pop()
            seen += 1
            if not node.is_group(each):
                found.append((node, each, place))
                continue
            inner = node.group(each)
            names = inner.names()
            if seen + len(names) > _MAX_LEAVES or len(place) > _MAX_DEPTH:
                raise UserError(
                    f"{self._at(name)} holds more groups than can be read: is one in itself? "
                    "Leave them out of the file."
                )
            waiting += [(inner, key, (*place, key)) for key in reversed(names)]
        return found

    def attribute(self, name: str) -> Any:
        """An attribute: a number, a text, None where there is none."""
        if name not in self._group.attrs:
            return None
        value = self._group.attrs[name]
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else value

    def flag(self, path: str) -> NDArray[Any] | None:
        """An array by names joined by "/", or an attribute of this group; None if neither."""
        first, _, rest = path.partition("/")
        if first in self._group:
            if not rest:
                return None if self.is_group(first) else self.array(first)
            return self.group(first).flag(rest) if self.is_group(first) else None
        value = self.attribute(path)
        is_number = isinstance(value, bool | int | float | np.number | np.bool_)
        return np.asarray(value) if is_number else None

    def _dataset(self, name: str) -> Any:
        found = self._child(name)
        if not isinstance(found, h5py.Dataset) or found.shape is None:
            raise UserError(f"{self._at(name)} is no array: it is not such a file; name another.")
        if found.is_virtual or found.external:
            raise UserError(
                f"{self._at(name)} lies in another file: put a copy into this one (h5repack)."
            )
        return found

    def _child(self, name: str) -> Any:
        if "/" in name or name in ("", "."):
            raise UserError(f"{self.where} has no {shown(name)}: it cannot be read.")
        link = self._group.get(name, getlink=True) if name in self._group else None
        if link is None:
            raise UserError(
                f"{self.where} has no {shown(name)}, only {listed(self.names()) or 'nothing'}: it "
                "is not such a file, or damaged; name another."
            )
        if not isinstance(link, h5py.HardLink):
            raise UserError(
                f"{self._at(name)} is a link to elsewhere: put a copy into the file (h5repack)."
            )
        return self._group[name]

    def _at(self, name: str) -> str:
        return f"{self.where}{': ' if ': ' not in self.where else '/'}{shown(name)}"


@contextmanager
def open_hdf5(path: Path) -> Iterator[Node]:
    """Open a file for reading; what goes wrong in it in the block is one sentence.

    Raises:
        UserError: h5py is not installed; the file is missing, no HDF5, or damaged.
    """
    _require_h5py()
    regular_file(path)
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise _damaged(path, error) from error
    with file:
        yield Node(file, str(path))


def _require_h5py() -> None:
    if h5py is None:
        raise UserError(
            "HDF5 needs h5py: install Parrot's extra `exchange` "
            "(`pip install 'parrot-priors[exchange]'`), then give the same command again."
        )


@contextmanager
def create_hdf5(path: Path) -> Iterator[Any]:
    """A new file of h5py, which holds no trace of when it was written.

    Raises:
        UserError: h5py is not installed.
    """
    _require_h5py()
    with h5py.File(path, "w") as file:
        yield file


def put(group: Any, name: str, rows: NDArray[Any]) -> None:
    """Write an array into a group of h5py's; images are compressed, to the last bit the same."""
    if rows.dtype != np.uint8 or rows.ndim < 3:
        group.create_dataset(name, data=rows)
        return
    chunk_rows = max(1, min(len(rows), _CHUNK_BYTES // max(1, rows[0].nbytes)))
    chunks = (chunk_rows, *rows.shape[1:])
    group.create_dataset(name, data=rows, chunks=chunks, compression="gzip", compression_opts=1)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """What a library says of a damaged file, as one sentence."""
    try:
        yield
    except (OSError, RuntimeError, KeyError, ValueError, OverflowError, MemoryError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> UserError:
    reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
    return UserError(f"{path} cannot be read as HDF5 ({reason}): name another file, or mend it.")
