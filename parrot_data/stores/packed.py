"""Compressed arrays of an episode, unpacked into no more memory than an episode's can need.

Whoever wrote a file says in it how large its content is. It is believed only within the bounds of
`FORMS`, and before any memory is found for it; nothing here runs or interprets what it reads.
"""

from __future__ import annotations

import io
import re
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from parrot_data.episodes.episode import FORMS

_MAGIC = b"\x93NUMPY\x01\x00"
_FRAME_HEADER_BYTES = 18  # at most, of a Zstandard frame
_MAX_HEADER_BYTES = 256  # of a .npy file: what comes before the values
# The header as numpy writes it. Not read by numpy, which evaluates it as Python.
_HEADER = re.compile(
    rb"\{'descr': '([<|][fu][14])', 'fortran_order': False, "
    rb"'shape': \((\d{1,6}(?:, \d{1,6})*),?\), \} *\n"
)


def unpack(packed: bytes, least: int, most: int) -> bytes:
    """Decompress one Zstandard frame that holds from `least` to `most` bytes.

    Raises:
        ValueError: it holds more or fewer, does not say how many, or is damaged.
    """
    try:
        size = zstandard.get_frame_parameters(packed[:_FRAME_HEADER_BYTES]).content_size
        if not least <= size <= most:
            raise ValueError(f"it unpacks to {size} bytes, not to {least} to {most}")
        # A second frame or trailing bytes would be silently left out.
        return zstandard.ZstdDecompressor().decompress(packed, allow_extra_data=False)
    except zstandard.ZstdError as error:
        raise ValueError(str(error)) from error


def max_packed_bytes(name: str) -> int:
    """Size of the largest member of a tar that can hold an array of an episode, compressed."""
    plain = FORMS[name].max_bytes + _MAX_HEADER_BYTES
    return plain + plain // 128 + 1024  # more than what Zstandard adds to what it cannot compress


def pack_array(array: NDArray[Any], compressor: zstandard.ZstdCompressor) -> bytes:
    """An array as .npy, compressed."""
    plain = io.BytesIO()
    np.lib.format.write_array(plain, np.ascontiguousarray(array), allow_pickle=False)
    return compressor.compress(plain.getvalue())


def unpack_array(name: str, packed: bytes) -> NDArray[Any]:
    """The array of an episode that `pack_array` compressed.

    Raises:
        ValueError: it is damaged, or no array of that name of any episode.
    """
    form = FORMS[name]
    npy = unpack(packed, len(_MAGIC), form.max_bytes + _MAX_HEADER_BYTES)
    start = len(_MAGIC) + 2
    values = start + int.from_bytes(npy[len(_MAGIC) : start], "little")
    header = _HEADER.fullmatch(npy[start:values])
    if not npy.startswith(_MAGIC) or values > _MAX_HEADER_BYTES or header is None:
        raise ValueError(f"{name} have no header that numpy writes")
    dtype, shape = header[1].decode(), tuple(map(int, header[2].split(b", ")))
    form.check(name, dtype, shape)
    if len(npy) - values != np.dtype(dtype).itemsize * int(np.prod(shape, dtype=np.int64)):
        raise ValueError(f"{name} are not as large as their header says")
    return np.frombuffer(npy, dtype, offset=values).reshape(shape).copy()
