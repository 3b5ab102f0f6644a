"""What an audit said against what happened, a point a task, as PNG bytes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter

from parrot_models.report_page.audited import TaskAudited
from parrot_models.report_page.figures import COLOURS, STYLE, png_of

MARKERS = ("o", "s", "^", "D", "v", "P")  # times seven colours: its own look for 42 tasks
A_COLUMN, A_ROW, A_LINE = 2.7, 2.5, 0.24  # inches of panels, and of the legend's lines
NAMES_A_LINE = 3
OF_NEVER = "#8c959f"


def audit_against_outcome(tasks: Sequence[TaskAudited], said: Mapping[str, str]) -> bytes:
    """Draw a column of panels a figure of the audit: final success above, steps to 0.8 below.

    Args:
        tasks: in their order.
        said: the figures to draw, attributes of a task, and how each is called.
    """
    styles = [
        {"marker": marker, "color": colour}
        for (marker, colour), _ in zip(
            itertools.cycle(itertools.product(MARKERS, COLOURS)), tasks, strict=False
        )
    ]
    height = 2 * A_ROW + A_LINE * -(-len(tasks) // NAMES_A_LINE)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(8.8, A_COLUMN * len(said)), height), layout="constrained")
        panels = figure.subplots(2, len(said), sharex="col", sharey="row", squeeze=False)
        for column, (name, words) in enumerate(said.items()):
            places = [getattr(task, name) for task in tasks]
            _draw_success(panels[0, column], places, tasks, styles)
            _draw_steps(panels[1, column], places, tasks, styles)
            panels[1, column].set_xlabel(words)
        panels[0, 0].set(ylabel="final success", ylim=(-0.04, 1.04))
        panels[1, 0].set_ylabel("steps to 80 %")
        panels[1, 0].yaxis.set_major_locator(MaxNLocator(5))
        panels[1, 0].yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        handles = [
            panels[0, 0].plot([], [], linestyle="", label=task.task, **style)[0]
            for task, style in zip(tasks, styles, strict=True)
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=NAMES_A_LINE)
        return png_of(figure)


def _draw_success(
    panel: Axes,
    places: Sequence[float | None],
    tasks: Sequence[TaskAudited],
    styles: Sequence[Mapping[str, Any]],
) -> None:
    for place, task, style in zip(places, tasks, styles, strict=True):
        if place is not None:
            panel.plot(place, task.success_rate, linestyle="", **style)


def _draw_steps(
    panel: Axes,
    places: Sequence[float | None],
    tasks: Sequence[TaskAudited],
    styles: Sequence[Mapping[str, Any]],
) -> None:
    """What was never reached lies hollow on a line of its own, above all that was."""
    reached = [task.steps_to_80 for task in tasks if task.steps_to_80 is not None]
    level = 1.2 * max(reached, default=1.0)
    if len(reached) < len(tasks):
        panel.axhline(level, color=OF_NEVER, linewidth=1, linestyle=":")
        panel.annotate(
            "never", (1, level), xycoords=("axes fraction", "data"), xytext=(0, 3),
            textcoords="offset points", ha="right", color=OF_NEVER,
        )  # fmt: skip
    for place, task, style in zip(places, tasks, styles, strict=True):
        if place is not None and task.steps_to_80 is not None:
            panel.plot(place, task.steps_to_80, linestyle="", **style)
        elif place is not None:
            panel.plot(place, level, linestyle="", fillstyle="none", **style)
    panel.set_ylim(0, 1.12 * level)
