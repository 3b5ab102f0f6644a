"""Animated GIFs: one palette for all frames, and the same bytes for the same frames."""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SHADES = 256  # of red, of green and of blue
BLOCK = 4096  # colours that are compared with a palette at once


def gif_bytes(
    frames: Sequence[NDArray[np.uint8]],
    durations_ms: Sequence[int],
    *,
    num_colors: int,
    comment: str = "",
) -> bytes:
    """An endless GIF, of each frame what has changed since the one before.

    Colours are not dithered: a pixel that stays as it is costs nothing, and a dither would move.

    Args:
        frames: RGB images, (H, W, 3) each.
        durations_ms: of each, multiples of 10, which a GIF counts in.
        num_colors: of the palette, 2 to 256.
        comment: kept in the file.
    """
    codes = np.stack([_coded(frame) for frame in frames])
    counts = np.bincount(codes.ravel(), minlength=SHADES**3)
    found = np.flatnonzero(counts)
    colors = np.stack(np.unravel_index(found, (SHADES,) * 3), -1).astype(np.uint8)
    palette = _palette(colors, counts[found], num_colors)
    index_of = np.zeros(SHADES**3, np.uint8)
    index_of[found] = _nearest(colors, palette)
    first, *rest = (_indexed(frame, palette) for frame in index_of[codes])
    buffer = io.BytesIO()
    first.save(
        buffer, "GIF", save_all=True, append_images=rest, duration=list(durations_ms), loop=0,
        disposal=1, optimize=True, comment=comment.encode(),
    )  # fmt: skip
    return buffer.getvalue()


def scaled(image: NDArray[np.uint8], height: int) -> NDArray[np.uint8]:
    """An image (H, W, 3) of another height and the same proportions."""
    if len(image) == height:
        return image
    width = max(1, round(image.shape[1] * height / len(image)))
    return np.array(Image.fromarray(image).resize((width, height), Image.Resampling.LANCZOS))


def _coded(frame: NDArray[np.uint8]) -> NDArray[np.int32]:
    """The colour of each pixel as one number, (H, W)."""
    red, green, blue = np.moveaxis(frame.astype(np.int32), -1, 0)
    coded: NDArray[np.int32] = (red * SHADES + green) * SHADES + blue
    return coded


def _palette(
    colors: NDArray[np.uint8], counts: NDArray[np.intp], num_colors: int
) -> NDArray[np.uint8]:
    """Up to `num_colors` colours (P, 3) that stand for all of them.

    They lie far apart first, and are then drawn to where many pixels are, each colour counting by
    the square root of its own: else all would be shades of a wide background, and none would be
    left for the small things that move before it.
    """
    if len(colors) <= num_colors:
        return colors
    sample = np.repeat(colors, np.sqrt(counts).astype(np.intp), axis=0)
    reduced = Image.fromarray(sample[None]).quantize(
        num_colors, method=Image.Quantize.MAXCOVERAGE, kmeans=1
    )
    palette = reduced.getpalette()
    assert palette is not None
    return np.array(palette, np.uint8).reshape(-1, 3)


def _nearest(colors: NDArray[np.uint8], palette: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Which colour of the palette is nearest to each, (K,)."""
    wide = palette.astype(np.int32)
    blocks = [colors[start : start + BLOCK] for start in range(0, len(colors), BLOCK)]
    found = [
        np.square(block[:, None].astype(np.int32) - wide).sum(-1).argmin(1) for block in blocks
    ]
    return np.concatenate(found).astype(np.uint8)


def _indexed(indices: NDArray[np.uint8], palette: NDArray[np.uint8]) -> Image.Image:
    image = Image.fromarray(indices)
    image.putpalette(palette.tobytes())
    return image
