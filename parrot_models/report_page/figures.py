"""The report's figures, as PNG bytes that depend on nothing but what they show."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

# Okabe and Ito's colours: told apart by colour-blind readers and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so the same everywhere
    "font.size": 10.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#57606a",
    "axes.grid": True,
    "grid.color": "#e4e8ec",
    "axes.axisbelow": True,
    "legend.frameon": False,
}
# How policies that judge rolls out are named and drawn.
POLICIES: dict[str, tuple[str, str] | None] = {
    "sampled": ("prior", COLOURS[0]),
    "mode": ("prior at z = 0", COLOURS[5]),
    "random": ("uniform random actions", "#8c959f"),
}
DPI = 144
FRAME_HEIGHT = 96  # pixels of the page, at least: small images are enlarged
GUTTER = 4  # pixels between frames, and twice that between episodes


def likelihood(
    steps: NDArray[np.float64], train: NDArray[np.float64], held_out: NDArray[np.float64]
) -> bytes:
    """Draw log-likelihood a dimension (nats) against training steps; NaN where not measured."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 3.4), layout="constrained")
        panel = figure.subplots()
        for values, label, colour in (
            (train, "training episodes", COLOURS[0]),
            (held_out, "held-out episodes", COLOURS[1]),
        ):
            known = np.isfinite(values)
            panel.plot(steps[known], values[known], color=colour, linewidth=2, label=label)
        panel.set(xlabel="training steps", ylabel="log-likelihood per dimension (nats)")
        panel.legend(loc="lower right")
        return png_of(figure)


def policies_beside(rates: Mapping[str, Mapping[str, float]]) -> bytes:
    """Draw groups of bars: what share of rollouts does each thing, a bar a policy.

    Args:
        rates: by policy, then by what is done; every policy has the same of these.
    """
    things = list(next(iter(rates.values())))
    labels = {**dict.fromkeys(rates), **POLICIES}
    with mpl.rc_context(STYLE):
        height = 1.1 + 0.27 * len(things) * (len(rates) + 1)
        figure = Figure(figsize=(6.4, height), layout="constrained")
        panel: Axes = figure.subplots()
        places, thickness = np.arange(len(things))[::-1], 0.76 / len(rates)
        for number, (name, values) in enumerate(rates.items()):
            label, colour = labels[name] or (name, COLOURS[number % len(COLOURS)])
            offset = ((len(rates) - 1) / 2 - number) * thickness
            widths = [values[thing] for thing in things]
            bars = panel.barh(
                places + offset, widths, height=0.94 * thickness, color=colour, label=label
            )
            panel.bar_label(bars, fmt="{:.1%}", padding=3)
        panel.set(yticks=places, yticklabels=things, xlim=(0, 1.08), xlabel="share of rollouts")
        panel.set_xticks(np.linspace(0, 1, 6))
        panel.grid(visible=False, axis="y")
        figure.legend(loc="outside upper center", ncols=len(rates))
        return png_of(figure)


def contact_sheet(
    episodes: Sequence[Sequence[NDArray[np.uint8]]], num_frames: int, num_columns: int
) -> bytes:
    """Lay strips of frames side by side, from each episode's first observation to its last.

    Args:
        episodes: of each the arrays of its images (T + 1, H, W, 3), one above the other in its
            strip; their sizes are those of every episode.
        num_frames: frames a strip.
        num_columns: strips side by side.
    """
    strips = [_strip(images, num_frames) for images in episodes]
    height, width = strips[0].shape[:2]
    num_rows = -(-len(strips) // num_columns)
    gap = 2 * GUTTER
    shape = (num_rows * (height + gap) - gap, num_columns * (width + gap) - gap, 3)
    sheet = np.full(shape, 255, dtype=np.uint8)
    for place, strip in enumerate(strips):
        row, column = divmod(place, num_columns)
        top, left = row * (height + gap), column * (width + gap)
        sheet[top : top + height, left : left + width] = strip
    buffer = io.BytesIO()
    Image.fromarray(sheet).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _strip(images: Sequence[NDArray[np.uint8]], num_frames: int) -> NDArray[np.uint8]:
    """The frames of all images of an episode, a row an image."""
    rows = [_row(each, num_frames) for each in images]
    width = max(row.shape[1] for row in rows)
    wide = [
        np.pad(row, ((0, GUTTER), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    return np.concatenate(wide)[:-GUTTER]


def _row(images: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:
    steps = np.linspace(0, len(images) - 1, num_frames).round().astype(int)
    scale = max(1, round(FRAME_HEIGHT / images.shape[1]))
    # Large ones are thinned: a sheet of camera images would outweigh the rest of the page.
    step = max(1, images.shape[1] // (2 * FRAME_HEIGHT))
    frames = images[steps, ::step, ::step].repeat(scale, axis=1).repeat(scale, axis=2)
    gutter = np.full((frames.shape[1], GUTTER, 3), 255, dtype=np.uint8)
    parts = [part for frame in frames for part in (frame, gutter)][:-1]
    return np.concatenate(parts, axis=1)


def png_of(figure: Figure) -> bytes:
    """Render without the date and the version that matplotlib would write into the file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
