"""The exploration study: what each policy did, what it saw, what it risked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from parrot_data.stores.publish import read_json
from parrot_models.report_page.page import Figure, Row
from parrot_models.report_page.study_figures import Groups, grouped_bars
from parrot_models.report_page.study_page import Study
from parrot_models.report_page.tables import NONE

WHAT = ("family", "policy", "num_episodes")
RISK, RATE = "_step_rate", "_rate"  # ends of names: shares of the steps, shares of the episodes
# How what is no share is printed.
FORMS = {
    "tool_cells": "{:,.0f}",
    "object_cells": "{:,.0f}",
    "tool_entropy": "{:.2f}",
    "object_entropy": "{:.2f}",
    "action_jerk": "{:.2f}",
}
SEEN = ("tool_cells", "object_cells")
OTHERS = {"random": "#8c959f", "bc": "#D55E00", "script": "#000000"}
Rows = Sequence[Mapping[str, Any]]


def exploration(study: Path) -> Study:
    """Read `explored/metrics.json` of the study's folder, as the stage `explore` wrote it.

    Raises:
        UserError: it is missing.
    """
    folder = study / "explored"
    rows: Rows = read_json(folder / "metrics.json")["rows"]
    names = list(dict.fromkeys(name for row in rows for name in sorted(row) if name not in WHAT))
    risks = [name for name in names if name.endswith(RISK)]
    rates = [name for name in names if name.endswith(RATE) and name not in risks]
    columns = [*rates, *(name for name in FORMS if name in names), *risks]
    figures = [
        _figure("objects", "Episodes in which it so happened.", rows, rates, "share"),
        _figure("coverage", "Cells of the state space visited.", rows, SEEN, "cells"),
    ]
    if risks:
        figures.append(_figure("safety", "Steps in which a limit was met.", rows, risks, "share"))
    return Study(
        title="Exploration",
        question="What does a policy meet before it has learned anything, and at what risk: "
        "uniform random actions, samples of the prior within several bounds of |z|, a "
        "behavior-cloned Gaussian; the script for scale, where there is one.",
        header=("scenes", "policy", *map(_words, columns)),
        rows=[_cells(row, columns) for row in rows],
        num_left=2,
        figures=figures,
        notes=_notes(int(rows[0]["num_episodes"])),
        summary={"rows": list(rows)},
        sources={f"explored/{name}": folder / name for name in ("config.json", "metrics.json")},
    )


def _notes(num_episodes: int) -> list[str]:
    return [
        f"{num_episodes} episodes of each policy in each family of scenes, the same unseen scenes "
        "for all.",
        "|z|<b: every dimension of z drawn from the standard normal truncated at b, the prior's "
        "own distribution within the box that an agent acts in; prior: no bound. The script acts "
        "with the noise of the data.",
        "Moved: an object came to be more than 2 cm from where it lay; success, and what else is a "
        "share of the episodes, the world tells. Cells are those of a grid over the tool's "
        "position, and over how far objects were moved; entropy is that of the visits, in nats.",
        "Safety, where the world tells of any, as shares of the steps. Jerk is the mean length of "
        "the second difference of the actions.",
    ]


def _words(name: str) -> str:
    return name.removesuffix(RISK).removesuffix(RATE).replace("_", " ")


def _cells(row: Mapping[str, Any], columns: Sequence[str]) -> Row:
    values = (
        FORMS.get(name, "{:.1%}").format(row[name]) if name in row else NONE for name in columns
    )
    return (str(row["family"]), str(row["policy"]), *values)


def _figure(name: str, caption: str, rows: Rows, measures: Sequence[str], label: str) -> Figure:
    families = dict.fromkeys(str(row["family"]) for row in rows)
    panels = {f"{family} scenes": _groups(rows, family, measures) for family in families}
    colours = _colours(list(dict.fromkeys(str(row["policy"]) for row in rows)))
    return Figure(name, caption, grouped_bars(panels, label, colours, is_share=name == "objects"))


def _groups(rows: Rows, family: str, measures: Sequence[str]) -> Groups:
    of_family = [row for row in rows if row["family"] == family]
    return {
        _words(name): {str(row["policy"]): row[name] for row in of_family}
        for name in measures
        if all(name in row for row in of_family)
    }


def _colours(policies: Sequence[str]) -> dict[str, Any]:
    """Blue for the prior, the darker the wider its bound; others by name."""
    priors = [name for name in policies if name.startswith("prior")]
    shades = mpl.colormaps["Blues"](np.linspace(0.35, 0.95, len(priors)))
    return {**OTHERS, **dict(zip(priors, shades, strict=True))}
