"""`tf.train.Example`, a map from names to lists of numbers or bytes, on the wire of protobuf.

Messages: Example {Features features = 1}, Features {map<string, Feature> feature = 1}, Feature
{oneof: BytesList = 1, FloatList = 2, Int64List = 3}, each list {repeated value = 1}, numbers packed
(tensorflow/core/example/*.proto). protobuf itself makes a Python object of every number, and finds
memory for lists nobody asked for: a record is a whole episode, and may be hostile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["bytes", "float", "int64"]
Value = list[bytes] | NDArray[Any]
_KINDS: tuple[Kind, ...] = ("bytes", "float", "int64")  # field numbers 1, 2, 3
_VARINT, _FIXED64, _CONTENT, _FIXED32 = 0, 1, 2, 5  # wire types
_MAX_VARINT_BYTES = 10
_MAX_FEATURES = 10_000


def encode(features: Mapping[str, Value]) -> bytes:
    """The bytes of an Example, names in order.

    Args:
        features: by name a list of bytes, an array of floats, or one of bools.
    """
    entries = (
        _field(1, _field(1, name.encode()) + _field(2, _feature(features[name])))
        for name in sorted(features)
    )
    return _field(1, b"".join(entries))


def _feature(value: Value) -> bytes:
    if isinstance(value, list):
        return _field(1, b"".join(_field(1, each) for each in value))
    if value.dtype == np.bool_:  # a varint below 128 is its byte
        return _field(3, _field(1, value.astype(np.uint8).tobytes()))
    return _field(2, _field(1, value.astype("<f4", copy=False).tobytes()))


def _field(number: int, content: bytes) -> bytes:
    return bytes([number << 3 | _CONTENT]) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    found = bytearray()
    while value > 0x7F:
        found.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*found, value])


class Example:
    """An Example that was read; each list is decoded when it is asked for.

    Args:
        data: its bytes.

    Raises:
        ValueError: it is damaged.
    """

    def __init__(self, data: bytes) -> None:
        self._features: dict[str, memoryview] = {}
        for features in _contents(memoryview(data), 1):
            for entry in _contents(features, 1):
                name = bytes(_only(entry, 1)).decode("utf-8", "replace")
                if name in self._features or len(self._features) == _MAX_FEATURES:
                    raise ValueError("a feature is there twice, or there are too many")
                self._features[name] = _only(entry, 2)

    def __contains__(self, name: str) -> bool:
        return name in self._features

    def blobs(self, name: str, at_most: int) -> list[memoryview]:
        """The list of bytes of that name.

        Raises:
            ValueError: there is none, it is damaged, or longer than `at_most`.
        """
        found = list(islice(self._values(name, "bytes"), at_most + 1))
        if len(found) > at_most:
            raise ValueError(f"{name!a} is too long")
        return found

    def floats(self, name: str) -> NDArray[np.float32]:
        """The list of floats of that name.

        Raises:
            ValueError: there is none, or it is damaged.
        """
        return np.frombuffer(self._packed(name, "float"), dtype="<f4").astype(np.float32)

    def integers(self, name: str, at_most: int) -> NDArray[np.int64]:
        """The list of whole numbers of that name.

        Raises:
            ValueError: there is none, it is damaged, or longer than `at_most`.
        """
        packed = np.frombuffer(self._packed(name, "int64"), dtype=np.uint8)
        is_last = packed < 0x80
        if len(packed) and not is_last[-1]:
            raise ValueError(f"{name!a} ends inside a number")
        if np.count_nonzero(is_last) > at_most:
            raise ValueError(f"{name!a} is too long")
        stops = np.flatnonzero(is_last) + 1
        lengths = np.diff(stops, prepend=0)
        longest = int(lengths.max(initial=0))
        if longest > _MAX_VARINT_BYTES:
            raise ValueError(f"{name!a} holds a number that is too long")
        found = np.zeros(len(stops), dtype=np.uint64)
        for place in range(longest):  # the seventh bits of it, the lowest first
            there = lengths > place
            bits = packed[(stops - lengths)[there] + place] & np.uint8(0x7F)
            found[there] |= bits.astype(np.uint64) << np.uint64(7 * place)
        return found.view(np.int64)

    def _packed(self, name: str, kind: Kind) -> bytearray:
        """Bytes of all numbers; some writers do not pack them, which is the same in a row."""
        found = bytearray()
        for value in self._values(name, kind):
            found += value
        return found

    def _values(self, name: str, kind: Kind) -> Iterator[memoryview]:
        if name not in self._features:
            raise ValueError(f"it has no {name!a}")
        for number, values in _fields(self._features[name]):
            if number != _KINDS.index(kind) + 1:
                raise ValueError(f"{name!a} is no list of {kind}")
            yield from _contents(values, 1)


def _contents(message: memoryview, number: int) -> Iterator[memoryview]:
    """Of the fields of that number, the contents."""
    return (content for found, content in _fields(message) if found == number)


def _only(message: memoryview, number: int) -> memoryview:
    """Content of the one field of that number."""
    (found,) = islice(_contents(message, number), 2)
    return found


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Number and content of each field; of a number, its bytes."""
    at = 0
    while at < len(message):
        key, start = _read_varint(message, at)
        wire, stop = key & 7, start
        if wire == _CONTENT:
            length, start = _read_varint(message, start)
            stop = start + length
        elif wire == _VARINT:
            _, stop = _read_varint(message, start)
        elif wire in (_FIXED64, _FIXED32):
            stop = start + (8 if wire == _FIXED64 else 4)
        else:
            raise ValueError(f"wire type {wire}")
        if stop > len(message):
            raise ValueError("a field ends too late")
        yield key >> 3, message[start:stop]
        at = stop


def _read_varint(message: memoryview, at: int) -> tuple[int, int]:
    """A number, and where it ends."""
    value = 0
    for place, byte in enumerate(message[at : at + _MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:
            return value, at + place + 1
    raise ValueError("a number without an end")
