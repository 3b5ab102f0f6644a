"""An audit as one figure: latents against N(0, I), and likelihood along the episodes."""

from __future__ import annotations

import math
from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from parrot_models.auditing.measures import Inverted
from parrot_models.report_page.figures import COLOURS, STYLE, png_of

OF_NORMAL = "#8c959f"
NUM_PLACES = 200  # of a curve
MOST_POINTS = 20_000  # steps drawn one by one; of more, as many spread evenly


def audit_figure(inverted: Inverted, bounds: Sequence[float], num_worst: int) -> bytes:
    """Draw three panels, as PNG bytes.

    Args:
        inverted: the demonstrations.
        bounds: of |z| that shares were counted within, drawn as lines.
        num_worst: steps that are marked, those least likely.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.8, 3.6), layout="constrained")
        shares, dimensions, steps = figure.subplots(1, 3)
        _draw_shares(shares, inverted, bounds)
        _draw_dimensions(dimensions, inverted)
        _draw_steps(steps, inverted, num_worst)
        return png_of(figure)


def _draw_shares(panel: Axes, inverted: Inverted, bounds: Sequence[float]) -> None:
    """Share of actions within a bound of |z| in all dimensions at once, against the bound."""
    places = np.linspace(0.0, 1.25 * max(bounds), NUM_PLACES)
    largest = np.sort(np.abs(inverted.latents).max(1))
    shares = np.searchsorted(largest, places, side="right") / len(largest)
    normal = [math.erf(place / math.sqrt(2.0)) ** inverted.latents.shape[1] for place in places]
    for bound in bounds:
        panel.axvline(bound, color=OF_NORMAL, linewidth=1, linestyle=":")
    panel.plot(places, shares, color=COLOURS[0], linewidth=2, label="demonstrated actions")
    panel.plot(places, normal, color=OF_NORMAL, linewidth=2, label="z ~ N(0, I)")
    panel.set(xlabel="bound of |z|", ylabel="share within, all dimensions", ylim=(-0.03, 1.03))
    panel.legend(loc="lower right")


def _draw_dimensions(panel: Axes, inverted: Inverted) -> None:
    """Mean and deviation of z in each dimension, over the band of N(0, 1)."""
    num = inverted.latents.shape[1]
    panel.axhspan(-1.0, 1.0, color=OF_NORMAL, alpha=0.25, linewidth=0, label="N(0, 1)")
    panel.errorbar(
        np.arange(num), inverted.latents.mean(0), yerr=inverted.latents.std(0), fmt="o",
        color=COLOURS[0], capsize=4, label="demonstrated actions",
    )  # fmt: skip
    panel.set(xlabel="dimension", ylabel="z, mean and deviation", xlim=(-0.6, num - 0.4))
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.margins(y=0.25)
    panel.legend(loc="upper right", ncols=2)


def _draw_steps(panel: Axes, inverted: Inverted, num_worst: int) -> None:
    """Log-likelihood of every step against its place in its episode, the least ones marked."""
    num = len(inverted.steps)
    drawn = np.linspace(0, num - 1, min(num, MOST_POINTS)).astype(np.int64)
    order = np.argsort(inverted.log_prob_per_dim, kind="stable")[:num_worst]
    for rows, label, colour, size in (
        (drawn, "a step", COLOURS[0], 8),
        (order, "least likely", COLOURS[1], 24),
    ):
        values = inverted.log_prob_per_dim[rows]
        panel.scatter(inverted.steps[rows], values, s=size, color=colour, label=label, linewidth=0)
    panel.set(xlabel="step of the episode", ylabel="log-likelihood per dimension (nats)")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    panel.legend(loc="best")
