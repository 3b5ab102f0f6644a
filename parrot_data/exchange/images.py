"""Single RGB images as encoded bytes, the way several formats hold them."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parrot_data.errors import UserError
from parrot_data.exchange.recording import shown

_PNG_LEVEL = 6  # of zlib: what LeRobot and TensorFlow take
_FORMATS = ("PNG", "JPEG")


def png_of(image: NDArray[np.uint8]) -> bytes:
    """An image, (height, width, 3), as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


def size_of(data: bytes, where: str) -> tuple[int, int]:
    """Height and width of a PNG or JPEG, whose pixels are not decoded.

    Raises:
        UserError: it is damaged, or neither.
    """
    with _opened(data, where) as image:
        return image.height, image.width


def decode(data: bytes, out: NDArray[np.uint8], where: str, told: str) -> None:
    """Decode a PNG or JPEG.

    Args:
        data: the file.
        out: takes its pixels, (height, width, 3).
        where: it is, to begin errors with.
        told: who says that its shape is that of `out`.

    Raises:
        UserError: it is damaged, neither, or no RGB image of that shape.
    """
    height, width = out.shape[:2]
    with _opened(data, where) as image:
        if image.size == (width, height) and image.mode == "RGB":
            out[:] = np.asarray(image)
            return
        said = f"is {image.mode} {image.size}"
    raise UserError(f"{where} {said}, in {told} RGB {(width, height)}: make them agree.")


@contextmanager
def _opened(data: bytes, where: str) -> Iterator[Any]:
    try:
        with Image.open(io.BytesIO(data), formats=_FORMATS) as image:
            yield image
    # What PIL raises of hostile bytes is of many kinds, one of them a warning.
    except (
        OSError, ValueError, SyntaxError, Image.DecompressionBombError,
        Image.DecompressionBombWarning,
    ) as error:  # fmt: skip
        raise UserError(f"{where} holds a damaged image ({shown(error)}): mend it.") from error
