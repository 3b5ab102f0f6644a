"""The figures of the studies, as PNG bytes that depend on nothing but what they show."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from parrot_models.report_page.figures import COLOURS, STYLE, png_of

# Values by series; by group and series; by panel, group and series.
Bars = Mapping[str, float]
Groups = Mapping[str, Bars]


def against_size(
    sizes: Sequence[int],
    panels: Mapping[str, Mapping[str, Sequence[float]]],
    levels: Mapping[str, Mapping[str, float]],
) -> bytes:
    """Draw what grows with a dataset: a panel a quantity, a line a series, sizes on a log axis.

    Args:
        sizes: kept episodes.
        panels: by title and series, a value a size.
        levels: by title and series, values that do not depend on the size, drawn dashed.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(4.2 * len(panels), 3.8), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, (title, lines) in zip(axes, panels.items(), strict=True):
            for (name, values), colour in zip(lines.items(), COLOURS, strict=False):
                panel.plot(sizes, values, color=colour, marker="o", linewidth=2, label=name)
                if name in levels.get(title, {}):
                    level = levels[title][name]
                    panel.axhline(level, color=colour, linestyle="--", label=f"{name}, no prior")
            panel.set(title=title, xlabel="kept episodes", xscale="log")
            panel.set_xticks(list(sizes), [f"{size:,}" for size in sizes], minor=False)
            panel.minorticks_off()
            panel.legend(loc="best")
        return png_of(figure)


def grouped_bars(
    panels: Mapping[str, Groups], label: str, colours: Mapping[str, Any], *, is_share: bool
) -> bytes:
    """Draw bars in groups: a panel a title, groups along it, a colour a series.

    Args:
        panels: values by panel, group and series; every group has the same series.
        label: of the values.
        colours: of the series.
        is_share: whether the axis goes from 0 to 1.
    """
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(max(6.4, 5.6 * len(panels)), 4.2), layout="constrained")
        axes = figure.subplots(1, len(panels), squeeze=False)[0]
        for panel, (title, groups) in zip(axes, panels.items(), strict=True):
            series = list(next(iter(groups.values())))
            width = 0.84 / len(series)
            places = np.arange(len(groups))
            for place, name in enumerate(series):
                offset = (place - (len(series) - 1) / 2) * width
                heights = [bars[name] for bars in groups.values()]
                panel.bar(places + offset, heights, width, color=colours[name], label=name)
            panel.set(title=title, xticks=places, xticklabels=list(groups))
            panel.grid(visible=False, axis="x")
            if is_share:
                panel.set_ylim(0, 1.02)
        axes[0].set_ylabel(label)
        handles, names = axes[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=min(len(names), 8))
        return png_of(figure)


def distinct_colours(series: Iterable[str]) -> dict[str, str]:
    """A colour for each series, its own for each of up to seven."""
    return dict(zip(series, itertools.cycle(COLOURS), strict=False))
