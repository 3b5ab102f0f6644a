"""Panels side by side: what several policies do in one scene at one moment, and how they fared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

PAPER, INK, FAINT, SUCCESS = (255, 255, 255), (36, 41, 47), (175, 181, 188), (26, 160, 75)
GAP, MARGIN, FRAME = 6, 5, 4  # pixels: between panels, around captions, of the success mark
BAR = 26  # height of a caption, pixels
LARGEST, SMALLEST = 16, 8  # sizes of its letters
SPACING = 14  # from one mark to the next, pixels, where there is room
MARK = 0.32  # radius of a mark, of the spacing
FINE = 4  # marks are drawn so many times larger, then reduced


@dataclass(frozen=True)
class Panel:
    """One policy at one moment.

    Attributes:
        caption: who acts.
        image: of the scene, uint8 (H, W, 3).
        is_success: whether the task is achieved now, which frames the image in green.
        successes: of the episodes that are over.
    """

    caption: str
    image: NDArray[np.uint8]
    is_success: bool
    successes: Sequence[bool]


def side_by_side(panels: Sequence[Panel], num_episodes: int) -> NDArray[np.uint8]:
    """Panels in a row, each below its caption and a mark an episode, uint8 (H', W', 3).

    A full mark is a success, an empty one a failure, a dot an episode to come.

    Args:
        panels: with images of one height.
        num_episodes: of the whole film.
    """
    height = max(len(panel.image) for panel in panels)
    widths = [panel.image.shape[1] for panel in panels]
    canvas = Image.new("RGB", (sum(widths) + GAP * (len(panels) - 1), BAR + height), PAPER)
    draw = ImageDraw.Draw(canvas)
    spacing = max(1, min(SPACING, min(widths) // 2 // num_episodes))
    marks = spacing * num_episodes
    room = min(widths) - marks - 2 * MARGIN
    font = _font([panel.caption for panel in panels], room)
    left = 0
    for panel, width in zip(panels, widths, strict=True):
        draw.text((left + MARGIN, BAR / 2), panel.caption, INK, font, anchor="lm")
        canvas.paste(_marks(panel.successes, num_episodes, spacing), (left + width - marks, 0))
        canvas.paste(Image.fromarray(panel.image), (left, BAR))
        if panel.is_success:
            box = (left, BAR, left + width - 1, BAR + len(panel.image) - 1)
            draw.rectangle(box, outline=SUCCESS, width=FRAME)
        left += width + GAP
    return np.array(canvas)


def _font(captions: Sequence[str], room: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The largest letters in which every caption has room."""
    for size in range(LARGEST, SMALLEST, -1):
        font = ImageFont.load_default(size)
        if max(font.getlength(caption) for caption in captions) <= room:
            return font
    return ImageFont.load_default(SMALLEST)


def _marks(successes: Sequence[bool], num_episodes: int, spacing: int) -> Image.Image:
    """A mark an episode, in a row."""
    row = Image.new("RGB", (FINE * spacing * num_episodes, FINE * BAR), PAPER)
    draw, radius = ImageDraw.Draw(row), FINE * MARK * spacing
    for index in range(num_episodes):
        center = (FINE * spacing * (index + 0.4), FINE * BAR / 2)
        if index >= len(successes):
            draw.circle(center, radius / 3, fill=FAINT)
        elif successes[index]:
            draw.circle(center, radius, fill=SUCCESS)
        else:
            draw.circle(center, radius, outline=FAINT, width=max(1, round(radius / 3)))
    return row.reduce(FINE)
