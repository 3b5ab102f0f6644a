"""The figures that compare methods, legible for a dozen of them, as PNG bytes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import NDArray

from parrot_models.report_page.aggregates import THRESHOLDS, Aggregates, Estimate
from parrot_models.report_page.figures import COLOURS, STYLE, png_of
from parrot_models.report_page.learning import Band

DASHES = ("-", (0, (4, 1.5)))
WIDTH = 8.8  # inches: the page shows it at about its own size
MANY = 4  # methods from which bands are drawn faintly


class Line(NamedTuple):
    """How a method is drawn wherever it is."""

    colour: str
    dashes: Any


def lines_of(methods: Iterable[str]) -> dict[str, Line]:
    """A line for each method, named once or more, its own for each of up to fourteen."""
    styles = itertools.product(DASHES, COLOURS)
    return {
        method: Line(colour, dashes)
        for method, (dashes, colour) in zip(
            dict.fromkeys(methods), itertools.cycle(styles), strict=False
        )
    }


def learning_curves(bands: Mapping[str, Mapping[str, Band]], lines: Mapping[str, Line]) -> bytes:
    """Draw success against environment steps: a panel a task, a line and band a method."""
    num_columns = min(2, len(bands))
    num_rows = -(-len(bands) // num_columns)
    with mpl.rc_context(STYLE):
        # A row of the legend holds four names
        height = 3.3 * num_rows + 0.3 * -(-len(lines) // 4)
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        panels = figure.subplots(num_rows, num_columns, sharex=True, sharey=True, squeeze=False)
        for empty in panels.flat[len(bands) :]:
            empty.set_visible(False)
        for panel, (task, by_method) in zip(panels.flat, bands.items(), strict=False):
            for method, band in by_method.items():
                ends = (band.low, band.high)
                _band(panel, band.env_steps, band.mean, ends, lines, method)
            panel.set(title=task, ylim=(-0.02, 1.02))
            panel.label_outer()
        _label_outer_panels(panels, len(bands))
        _legend(figure, panels.flat[0])
        return png_of(figure)


def performance_profiles(found: Aggregates, lines: Mapping[str, Line]) -> bytes:
    """Draw the share of runs with more success than a threshold, against the threshold."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(WIDTH, 4.2), layout="constrained")
        panel = figure.subplots()
        for method, profile in found.profile.items():
            ends = (profile.low, profile.high)
            _band(panel, THRESHOLDS, profile.value, ends, lines, method, is_step=True)
        panel.set(
            xlabel="final success $\\tau$",
            ylabel="share of runs with success above $\\tau$",
            xlim=(0, 1),
            ylim=(-0.02, 1.02),
        )
        _legend(figure, panel)
        return png_of(figure)


def interquartile_means(found: Aggregates, lines: Mapping[str, Line]) -> bytes:
    """Draw a bar a method with its interval, the longest first."""
    estimates = {method: found.iqm[method] for method in found.ranking()}
    with mpl.rc_context(STYLE):
        figure, panel = _rows_of(estimates)
        places = np.arange(len(estimates))
        widths = [float(estimate.value) for estimate in estimates.values()]
        colours = [lines[method].colour for method in estimates]
        panel.barh(places, widths, height=0.62, color=colours, alpha=0.6)
        _intervals(panel, list(estimates.values()), ["#1f2328"] * len(estimates))
        panel.set(xlim=(0, 1.12), xlabel="interquartile mean of final success")
        return png_of(figure)


def improvements(found: Aggregates, reference: str, lines: Mapping[str, Line]) -> bytes:
    """Draw how probable it is that a run of each method has more success than the reference's."""
    estimates = {
        method: found.improvement[method][reference]
        for method in found.ranking()
        if method != reference
    }
    with mpl.rc_context(STYLE):
        figure, panel = _rows_of(estimates)
        panel.axvline(0.5, color="#57606a", linewidth=1.2, linestyle="--")
        values = [float(estimate.value) for estimate in estimates.values()]
        colours = [lines[method].colour for method in estimates]
        panel.scatter(values, np.arange(len(values)), s=46, color=colours, zorder=3)
        _intervals(panel, list(estimates.values()), colours)
        panel.set(
            xlim=(-0.02, 1.12), xlabel=f"probability that a run has more success than {reference}'s"
        )
        return png_of(figure)


def _rows_of(estimates: Mapping[str, Estimate]) -> tuple[Figure, Axes]:
    """A panel with a row a method, from the top."""
    figure = Figure(figsize=(WIDTH, 0.9 + 0.36 * len(estimates)), layout="constrained")
    panel: Axes = figure.subplots()
    panel.set(yticks=np.arange(len(estimates)), yticklabels=list(estimates))
    panel.set_xticks(np.linspace(0, 1, 6))
    panel.set_ylim(len(estimates) - 0.4, -0.6)
    panel.grid(visible=False, axis="y")
    return figure, panel


def _intervals(panel: Axes, estimates: Sequence[Estimate], colours: Sequence[str]) -> None:
    """Draw the interval of each row, and its value to the right of it."""
    for place, (estimate, colour) in enumerate(zip(estimates, colours, strict=True)):
        low = estimate.value if estimate.low is None else estimate.low
        high = estimate.value if estimate.high is None else estimate.high
        panel.hlines(place, float(low), float(high), color=colour, linewidth=2, zorder=3)
        panel.annotate(
            f"{float(estimate.value):.2f}",
            (max(float(high), float(estimate.value)), place),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
        )


def _band(
    panel: Axes,
    places: NDArray[np.float64],
    values: NDArray[np.float64],
    ends: tuple[NDArray[np.float64] | None, NDArray[np.float64] | None],
    lines: Mapping[str, Line],
    method: str,
    *,
    is_step: bool = False,
) -> None:
    """Draw a method's line, and its interval where it has one; steps hold until the next place."""
    low, high = ends
    line = lines[method]
    if low is not None and high is not None:
        faint = 0.18 if len(lines) <= MANY else 0.07
        step: Literal["post"] | None = "post" if is_step else None
        panel.fill_between(
            places, low, high, step=step, color=line.colour, alpha=faint, linewidth=0
        )
    drawn = "steps-post" if is_step else "default"
    style = {"color": line.colour, "linestyle": line.dashes, "linewidth": 1.8}
    panel.plot(places, values, drawstyle=drawn, label=method, **style)


def _label_outer_panels(panels: NDArray[Any], num_used: int) -> None:
    num_columns = panels.shape[1]
    for place, panel in enumerate(panels.flat[:num_used]):
        if place % num_columns == 0:
            panel.set_ylabel("success rate")
        if place + num_columns >= num_used:  # nothing, or an empty place, is below
            panel.set_xlabel("environment steps")
            panel.xaxis.set_major_locator(MaxNLocator(5))
            panel.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
            panel.tick_params(labelbottom=True)


def _legend(figure: Figure, panel: Axes) -> None:
    """Name the lines below all panels, where they cover nothing."""
    handles, names = panel.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=min(4, len(names)))
