"""The report's pictures, as PNG bytes that depend on nothing but what they show."""

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
DPI = 144
FRAME_SCALE = 2  # 48 pixels are small on a page
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


def prior_against_random(rates: Mapping[str, tuple[float, float]]) -> bytes:
    """Draw pairs of bars: what share of rollouts does each thing, prior beside random."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(6.4, 1.1 + 0.8 * len(rates)), layout="constrained")
        panel: Axes = figure.subplots()
        places = np.arange(len(rates))[::-1]
        for offset, column, label, colour in (
            (0.19, 0, "prior", COLOURS[0]),
            (-0.19, 1, "uniform random actions", "#8c959f"),
        ):
            widths = [pair[column] for pair in rates.values()]
            bars = panel.barh(places + offset, widths, height=0.36, color=colour, label=label)
            panel.bar_label(bars, fmt="{:.1%}", padding=3)
        panel.set(
            yticks=places, yticklabels=list(rates), xlim=(0, 1.08), xlabel="share of rollouts"
        )
        panel.set_xticks(np.linspace(0, 1, 6))
        panel.grid(visible=False, axis="y")
        panel.legend(loc="upper center", bbox_to_anchor=(0.45, 1.28), ncols=2)
        return png_of(figure)


def contact_sheet(
    episodes: Sequence[NDArray[np.uint8]], num_frames: int, num_columns: int
) -> bytes:
    """Lay strips of frames side by side, from each episode's first image to its last.

    Args:
        episodes: images (T + 1, H, W, 3) of each episode, all of one size.
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


def _strip(images: NDArray[np.uint8], num_frames: int) -> NDArray[np.uint8]:
    steps = np.linspace(0, len(images) - 1, num_frames).round().astype(int)
    frames = images[steps].repeat(FRAME_SCALE, axis=1).repeat(FRAME_SCALE, axis=2)
    gutter = np.full((frames.shape[1], GUTTER, 3), 255, dtype=np.uint8)
    parts = [part for frame in frames for part in (frame, gutter)][:-1]
    return np.concatenate(parts, axis=1)


def png_of(figure: Figure) -> bytes:
    """Render without the date and the version that matplotlib would write into the file."""
    buffer = io.BytesIO()
    FigureCanvasAgg(figure)
    figure.savefig(buffer, format="png", dpi=DPI, metadata={"Software": None})
    return buffer.getvalue()
