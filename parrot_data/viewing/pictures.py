"""Images for the page: the frames of an episode on sheets, and what stands for it in the list."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec

Pixels = NDArray[np.uint8]

SHEET_WIDTH = 4096  # pixels; browsers and WebP take wider ones, not every graphics card does
SHEET_PIXELS = 2_000_000  # of several frames: what is unpacked to show one of them
# Images of a simulator take less room without loss than with; photographs take ten times as much.
ALWAYS_EXACT_PIXELS = 128 * 128
MOST_EXACT_BYTES = 0.5  # a pixel
QUALITY = 90
THUMBNAIL = (96, 72)  # pixels, at most, of each of the two frames
HEAT_MAP = (96, 48)
THUMBNAILS_PER_ROW, THUMBNAILS_PER_SPRITE = 10, 100


class Sheet(NamedTuple):
    """Frames that follow one another, in rows.

    Attributes:
        content: WebP.
        is_exact: whether it shows every pixel as it was recorded.
    """

    content: bytes
    is_exact: bool


class SheetLayout(NamedTuple):
    """How many frames lie in a row of a sheet, and how many on all of it."""

    num_columns: int
    num_frames: int


def layout_of(height: int, width: int) -> SheetLayout:
    """Of frames of a size in pixels."""
    num_columns = max(1, SHEET_WIDTH // width)
    num_rows = SHEET_PIXELS // (height * width * num_columns)
    if num_rows == 0:
        return SheetLayout(*[max(1, SHEET_PIXELS // (height * width))] * 2)
    return SheetLayout(num_columns, num_rows * num_columns)


def sheets_of(frames: Pixels) -> Iterator[Sheet]:
    """The frames (N, H, W, 3) of one camera, sheet by sheet."""
    _, height, width, _ = frames.shape
    layout = layout_of(height, width)
    for start in range(0, len(frames), layout.num_frames):
        part = frames[start : start + layout.num_frames]
        sheet = tiled(part, min(layout.num_columns, len(part)))
        yield encoded(sheet, must_be_exact=height * width <= ALWAYS_EXACT_PIXELS)


def tiled(frames: Pixels, num_columns: int) -> Pixels:
    """Frames (N, H, W, 3) beside and below each other, black where none is left."""
    num_frames, height, width, _ = frames.shape
    num_rows = -(-num_frames // num_columns)
    cells = np.zeros((num_rows * num_columns, height, width, 3), np.uint8)
    cells[:num_frames] = frames
    rows = cells.reshape(num_rows, num_columns, height, width, 3).swapaxes(1, 2)
    return rows.reshape(num_rows * height, num_columns * width, 3)


def encoded(pixels: Pixels, *, must_be_exact: bool) -> Sheet:
    """An image as WebP: exact, unless it need not be and would be large."""
    exact = _webp(pixels, lossless=True, quality=20, method=1)
    if must_be_exact or len(exact) <= MOST_EXACT_BYTES * pixels.shape[0] * pixels.shape[1]:
        return Sheet(exact, is_exact=True)
    return Sheet(_webp(pixels, quality=QUALITY, method=2), is_exact=False)


def thumbnail_size(spec: EpisodeSpec) -> tuple[int, int]:
    """Width and height of the thumbnails of a dataset."""
    if not spec.images:
        return HEAT_MAP
    width, height = _frame_size(spec)
    return 2 * width, height


def thumbnail_of(episode: Episode, spec: EpisodeSpec) -> Pixels:
    """What stands for an episode: its first and its last image, or a heat map of its actions."""
    if not spec.images:
        return _heat_map(episode, spec)
    frames = episode.observations[next(iter(spec.images))]
    size = _frame_size(spec)
    pair = [Image.fromarray(frames[at]).resize(size, Image.Resampling.BOX) for at in (0, -1)]
    return np.concatenate([np.asarray(each) for each in pair], axis=1)


class Sprites:
    """Thumbnails, a hundred a file: `thumbnails-00000.webp` and so on; one is in memory.

    Args:
        folder: where they are written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._number = folder, 0
        self._waiting: list[Pixels] = []

    def add(self, thumbnail: Pixels) -> None:
        """Take the next one, of the same size as all."""
        self._waiting.append(thumbnail)
        if len(self._waiting) == THUMBNAILS_PER_SPRITE:
            self.close()

    def close(self) -> None:
        """Write what is still in memory."""
        if self._waiting:
            sprite = encoded(
                tiled(np.stack(self._waiting), THUMBNAILS_PER_ROW), must_be_exact=False
            )
            path = self._folder / f"thumbnails-{self._number:05d}.webp"
            path.write_bytes(sprite.content)
            self._number, self._waiting = self._number + 1, []


def _frame_size(spec: EpisodeSpec) -> tuple[int, int]:
    image = next(iter(spec.images.values()))
    scale = min(1.0, THUMBNAIL[0] / image.width, THUMBNAIL[1] / image.height)
    return max(1, round(image.width * scale)), max(1, round(image.height * scale))


def _heat_map(episode: Episode, spec: EpisodeSpec) -> Pixels:
    """Actions over time, a row a dimension: blue where least, red where greatest, grey if neither.

    Between the bounds of the action, or where it has none between the episode's own extremes.
    """
    actions = episode.actions.astype(np.float64).T
    finite = np.isfinite(actions)
    low = _column(spec.action.low, np.where(finite, actions, np.inf).min(axis=1))
    high = _column(spec.action.high, np.where(finite, actions, -np.inf).max(axis=1))
    span = np.where(np.isfinite(high - low) & (high > low), high - low, 1.0)
    share = np.where(finite, (actions - np.where(np.isfinite(low), low, 0.0)) / span, 0.5)
    share = np.clip(share, 0.0, 1.0)[..., None]
    low_color, middle, high_color = (
        np.array(color, float) for color in ((0, 114, 178), (236, 236, 236), (213, 94, 0))
    )
    below, above = np.clip(1 - 2 * share, 0, 1), np.clip(2 * share - 1, 0, 1)
    colors = middle + below * (low_color - middle) + above * (high_color - middle)
    pixels = np.where(finite[..., None], colors, 128.0).round().astype(np.uint8)
    return np.asarray(Image.fromarray(pixels).resize(HEAT_MAP, Image.Resampling.NEAREST))


def _column(bounds: list[float] | None, found: NDArray[np.float64]) -> NDArray[np.float64]:
    return (found if bounds is None else np.array(bounds, np.float64))[:, None]


def _webp(pixels: Pixels, **options: Any) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="webp", **options)
    return content.getvalue()
