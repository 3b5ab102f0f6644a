"""An audit as one figure: latents against N(0, I), likelihood along the episodes, and by task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.ticker import MaxNLocator

from parrot_models.auditing.measures import Inverted
from parrot_models.report_page.figures import COLOURS, POLICIES, STYLE, png_of

OF_NORMAL = "#8c959f"
NUM_PLACES = 200  # of a curve
ACTING = {name: drawn for name, drawn in POLICIES.items() if drawn}
ABOVE, BELOW, A_TASK = 3.6, 1.6, 0.28  # inches of the upper panels, the lower, each task in them
MOST_POINTS = 20_000  # steps drawn one by one; of more, as many spread evenly


def audit_figure(inverted: Inverted, metrics: Mapping[str, Any], num_worst: int) -> bytes:
    """Draw three panels, and below them two or three with a row a task, as PNG bytes.

    Args:
        inverted: the demonstrations.
        metrics: of the audit; where they are of one task, nothing is drawn by task.
        num_worst: steps that are marked, those least likely.
    """
    tasks = _tasks_of(metrics)
    heights = [ABOVE, BELOW + A_TASK * len(tasks)] if len(tasks) > 1 else [ABOVE]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12.8, sum(heights)), layout="constrained")
        parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
        shares, dimensions, steps = parts[0].subplots(1, 3)
        _draw_shares(shares, inverted, [row["latent_bound"] for row in metrics["within"]])
        _draw_dimensions(dimensions, inverted)
        _draw_steps(steps, inverted, num_worst)
        if len(tasks) > 1:
            _draw_tasks(parts[1], tasks, metrics)
        return png_of(figure)


def _tasks_of(metrics: Mapping[str, Any]) -> list[str]:
    """Tasks of the demonstrations, and those that were acted in."""
    return sorted({*metrics["tasks"], *metrics.get("rollouts", {})})


def _draw_tasks(part: SubFigure, tasks: Sequence[str], metrics: Mapping[str, Any]) -> None:
    """Likelihood, shares within bounds and success before learning: a row a task."""
    of_tasks, rollouts = metrics["tasks"], metrics.get("rollouts", {})
    panels = part.subplots(1, 3 if rollouts else 2, sharey=True)
    likelihood = {task: found["log_prob_per_dim"] for task, found in of_tasks.items()}
    _draw_rows(panels[0], tasks, {"a task": likelihood}, COLOURS)
    panels[0].axvline(metrics["log_prob_per_dim"], color=OF_NORMAL, linewidth=1, label="all")
    panels[0].set(xlabel="log-likelihood per dimension (nats)")
    within = {
        f"|z| <= {row['latent_bound']:g}": {
            task: found["within"][place]["all"] for task, found in of_tasks.items()
        }
        for place, row in enumerate(metrics["within"])
    }
    _draw_rows(panels[1], tasks, within, COLOURS)
    panels[1].set(xlabel="share within, all dimensions", xlim=(-0.03, 1.03))
    if rollouts:
        success = {
            words: {task: rates[name]["success_rate"] for task, rates in rollouts.items()}
            for name, (words, _) in ACTING.items()
        }
        _draw_rows(panels[2], tasks, success, [colour for _, colour in ACTING.values()])
        panels[2].set(xlabel="success before any learning", xlim=(-0.03, 1.03))
    # From the top, as the text has them
    panels[0].set(yticks=range(len(tasks)), yticklabels=tasks, ylim=(len(tasks) - 0.5, -0.5))
    for panel in panels:
        panel.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2, fontsize=9)


def _draw_rows(
    panel: Axes,
    tasks: Sequence[str],
    series: Mapping[str, Mapping[str, float]],
    colours: Sequence[str],
) -> None:
    """Points of several series, a little below each other so that equal ones are all seen."""
    for number, (label, values) in enumerate(series.items()):
        offset = (number - (len(series) - 1) / 2) * 0.6 / len(series)
        known = [place for place, task in enumerate(tasks) if task in values]
        panel.scatter(
            [values[tasks[place]] for place in known], [place + offset for place in known],
            s=26, color=colours[number % len(colours)], label=label, linewidth=0,
        )  # fmt: skip


def _draw_shares(panel: Axes, inverted: Inverted, bounds: Sequence[float]) -> None:
    """Share of actions within a bound of |z| in all dimensions at once, against the bound."""
    places = np.linspace(0.0, 1.25 * max(bounds), NUM_PLACES)
    shares, of_uniform = (
        np.searchsorted(np.sort(np.abs(z).max(1)), places, side="right") / len(z)
        for z in (inverted.latents, inverted.uniform_latents)
    )
    normal = [math.erf(place / math.sqrt(2.0)) ** inverted.latents.shape[1] for place in places]
    for bound in bounds:
        panel.axvline(bound, color=OF_NORMAL, linewidth=1, linestyle=":")
    panel.plot(places, shares, color=COLOURS[0], linewidth=2, label="demonstrated actions")
    panel.plot(places, of_uniform, color=COLOURS[1], linewidth=2, label="uniform actions")
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
