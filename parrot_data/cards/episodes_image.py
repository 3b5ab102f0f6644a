"""An image of some episodes: their frames, or their actions where they have no images."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec

FRAMES = 6  # of an episode
HEIGHT = 96  # pixels of a frame
GAP = 4
# Okabe and Ito's colours: told apart by colour-blind readers and in grey.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MOST_LINES = 8  # dimensions that are drawn of an action


def episodes_image(spec: EpisodeSpec, episodes: Sequence[Episode]) -> bytes:
    """A PNG, the same bytes for the same episodes: a row an episode and image of its spec."""
    if not spec.images:
        return _drawn_actions(episodes)
    rows = [_frames(episode.observations[name]) for episode in episodes for name in spec.images]
    width = max(row.shape[1] for row in rows)
    padded = [
        np.pad(row, ((0, GAP), (0, width - row.shape[1]), (0, 0)), constant_values=255)
        for row in rows
    ]
    buffer = io.BytesIO()
    Image.fromarray(np.concatenate(padded)[:-GAP]).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def _frames(images: NDArray[Any]) -> NDArray[np.uint8]:
    """Frames of an episode (T + 1, H, W, 3) beside each other, from the first to the last."""
    width = max(1, round(images.shape[2] * HEIGHT / images.shape[1]))
    steps = np.linspace(0, len(images) - 1, FRAMES).round().astype(int)
    gap = np.full((HEIGHT, GAP, 3), 255, np.uint8)
    parts: list[NDArray[np.uint8]] = []
    for image in images[steps]:
        # No filter: the same bytes wherever it is made
        sized = Image.fromarray(image).resize((width, HEIGHT), Image.Resampling.NEAREST)
        parts += [np.asarray(sized), gap]
    return np.concatenate(parts[:-1], axis=1)


def _drawn_actions(episodes: Sequence[Episode]) -> bytes:
    """Actions over the steps, a panel an episode, a line a dimension."""
    import matplotlib as mpl  # noqa: PLC0415 - slow to import, and most data have images
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415
    from matplotlib.figure import Figure  # noqa: PLC0415

    # The font comes with matplotlib, so it is the same everywhere
    with mpl.rc_context({"font.family": "DejaVu Sans", "font.size": 9}):
        figure = Figure(figsize=(2.6 * len(episodes), 2.2), layout="constrained")
        panels = figure.subplots(1, len(episodes), squeeze=False)[0]
        for panel, episode in zip(panels, episodes, strict=True):
            for dim in range(min(MOST_LINES, episode.actions.shape[1])):
                panel.plot(episode.actions[:, dim], color=COLOURS[dim % len(COLOURS)], linewidth=1)
            panel.set(title=episode.task.replace("$", r"\$")[:30], xlabel="step")
        panels[0].set(ylabel="actions")
        FigureCanvasAgg(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png", dpi=100, metadata={"Software": None})
        return buffer.getvalue()
