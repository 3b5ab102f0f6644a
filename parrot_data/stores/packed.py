"""What stores hold of an episode, unpacked into no more memory than the episode can need.

Whoever wrote a file says in it how large its content is. It is believed only within the bounds that
the spec and the number of steps set, and before any memory is found for it; nothing here runs or
interprets what it reads.
"""

from __future__ import annotations

import io
import json
import re
from typing import Any

import numpy as np
import zstandard
from numpy.typing import NDArray

from parrot_data.episodes.episode import MAX_STEPS, ArrayForm

# An episode is held in memory whole: of any array of it, at most so much.
MAX_ARRAY_BYTES = 1 << 32
_MAGIC = b"\x93NUMPY\x01\x00"
_FRAME_HEADER_BYTES = 18  # at most, of a Zstandard frame
_MAX_HEADER_BYTES = 256  # of a .npy file: what comes before the values
# The header as numpy writes it. Not read by numpy, which evaluates it as Python.
_HEADER = re.compile(
    rb"\{'descr': '([<|][fuib][148])', 'fortran_order': False, "
    rb"'shape': \((\d{1,7}(?:, \d{1,7})*),?\), \} *\n"
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


def max_bytes(form: ArrayForm, num_steps: int) -> int:
    """Size of an array of an episode of so many steps, or what is allowed if that is less."""
    return min((num_steps + form.num_extra) * form.row_bytes, MAX_ARRAY_BYTES)


def max_packed_bytes(form: ArrayForm, num_steps: int) -> int:
    """Size of the largest member of a tar that can hold such an array, compressed."""
    plain = max_bytes(form, num_steps) + _MAX_HEADER_BYTES
    return plain + plain // 128 + 1024  # more than what Zstandard adds to what it cannot compress


def pack_array(array: NDArray[Any], compressor: zstandard.ZstdCompressor) -> bytes:
    """An array as .npy, compressed.

    Raises:
        ValueError: it is larger than `MAX_ARRAY_BYTES`.
    """
    if array.nbytes > MAX_ARRAY_BYTES:
        raise ValueError(f"an array of {array.nbytes} bytes where {MAX_ARRAY_BYTES} are read")
    plain = io.BytesIO()
    np.lib.format.write_array(plain, np.ascontiguousarray(array), allow_pickle=False)
    return compressor.compress(plain.getvalue())


def unpack_array(
    name: str, form: ArrayForm, packed: bytes, num_steps: int | None = None
) -> NDArray[Any]:
    """The array of an episode that `pack_array` compressed.

    Args:
        name: of the array, for errors.
        form: what it must be like.
        packed: the bytes.
        num_steps: of the episode; None where nothing says so yet.

    Raises:
        ValueError: it is damaged, or no such array of an episode of so many steps.
    """
    most = max_bytes(form, MAX_STEPS if num_steps is None else num_steps)
    npy = unpack(packed, len(_MAGIC), most + _MAX_HEADER_BYTES)
    start = len(_MAGIC) + 2
    values = start + int.from_bytes(npy[len(_MAGIC) : start], "little")
    header = _HEADER.fullmatch(npy[start:values])
    if not npy.startswith(_MAGIC) or values > _MAX_HEADER_BYTES or header is None:
        raise ValueError(f"{name} have no header that numpy writes")
    dtype, shape = header[1].decode(), tuple(map(int, header[2].split(b", ")))
    form.check(name, dtype, shape)
    if num_steps not in (None, shape[0] - form.num_extra):
        raise ValueError(f"{name} are of {shape[0] - form.num_extra} steps, not of {num_steps}")
    if len(npy) - values != shape[0] * form.row_bytes:
        raise ValueError(f"{name} are not as large as their header says")
    return np.frombuffer(npy, dtype, offset=values).reshape(shape).copy()


def parse_metadata(text: bytes) -> object:
    """What `Episode.metadata_text` wrote, as bytes whose number is bounded already.

    Raises:
        ValueError: it is no JSON, or nested more deeply than can be read.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("its metadata are nested too deeply") from None
