"""NumPy's .npy inside of other files: headers read before memory is found, nothing unpickled."""

from __future__ import annotations

from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.errors import UserError


def read_header(file: IO[bytes], where: str) -> tuple[np.dtype[Any], tuple[int, ...]]:
    """Dtype and shape of an array; the file is left at its first number.

    Args:
        file: at the first byte of what `numpy.save` wrote.
        where: it is, to begin errors with.

    Raises:
        UserError: it holds pickled objects, lies by columns, or is of another format.
        ValueError: it is damaged.
    """
    version = np.lib.format.read_magic(file)
    if version not in ((1, 0), (2, 0)):
        raise UserError(
            f"{where} is of a format of numpy's that holds no plain numbers: remake it."
        )
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }[version]
    shape, is_fortran, dtype = read(file)
    if any(side < 0 for side in shape):
        raise UserError(f"{where} claims the shape {shape}: remake it.")
    if dtype.hasobject:
        raise UserError(
            f"{where} is pickled, and nothing is unpickled, as that could run any program: save it "
            "as plain numbers, or leave it out of the file."
        )
    if is_fortran and len(shape) > 1:
        raise UserError(f"{where} is stored by columns: save numpy.ascontiguousarray of it.")
    return dtype, shape


def read_rows(
    file: IO[bytes], name: str, dtype: np.dtype[Any], shape: tuple[int, ...]
) -> NDArray[Any]:
    """An array of a known size, or as many rows of one.

    Raises:
        ValueError: the file ends before.
    """
    num_bytes = int(np.prod(shape, dtype=object)) * dtype.itemsize
    data = file.read(num_bytes)
    if len(data) != num_bytes:
        raise ValueError(f"{name} ends too early")
    return np.frombuffer(data, dtype=dtype, count=-1 if data else 0).reshape(shape)


def write_header(file: IO[bytes], dtype: np.dtype[Any], shape: tuple[int, ...]) -> None:
    """What `numpy.save` writes before the numbers of an array."""
    described = {"descr": dtype.str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, described)
