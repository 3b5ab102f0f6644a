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

# What is shown of each row: its name in words, and how it is printed.
COLUMNS = {
    "touch_rate": ("touched", "{:.1%}"),
    "move_rate": ("moved", "{:.1%}"),
    "lift_rate": ("lifted", "{:.1%}"),
    "place_rate": ("placed", "{:.1%}"),
    "gripper_cells": ("gripper cells", "{:,.0f}"),
    "gripper_entropy": ("entropy", "{:.2f}"),
    "object_cells": ("object cells", "{:,.0f}"),
    "object_entropy": ("entropy", "{:.2f}"),
    "table_contact_rate": ("table contact", "{:.1%}"),
    "joint_limit_rate": ("joint limit", "{:.1%}"),
    "workspace_limit_rate": ("workspace limit", "{:.1%}"),
    "action_jerk": ("jerk", "{:.2f}"),
}
OTHERS = {"random": "#8c959f", "bc": "#D55E00", "script": "#000000"}
HAPPENED = ("touch_rate", "move_rate", "lift_rate", "place_rate")
SEEN = ("gripper_cells", "object_cells")
RISKED = ("table_contact_rate", "joint_limit_rate", "workspace_limit_rate")
Rows = Sequence[Mapping[str, Any]]


def exploration(study: Path) -> Study:
    """Read `explored/metrics.json` of the study's folder, as the stage `explore` wrote it.

    Raises:
        UserError: it is missing.
    """
    folder = study / "explored"
    rows: Rows = read_json(folder / "metrics.json")["rows"]
    return Study(
        title="Exploration",
        question="What does a policy meet before it has learned anything, and at what risk: "
        "uniform random actions, samples of the prior within several bounds of |z|, a "
        "behavior-cloned Gaussian; the noise-free script for scale.",
        header=("scenes", "policy", *(words for words, _ in COLUMNS.values())),
        rows=[_cells(row) for row in rows],
        num_left=2,
        figures=[
            _figure("objects", "Episodes in which some object was…", rows, HAPPENED, "share"),
            _figure("coverage", "Cells of the state space visited.", rows, SEEN, "cells"),
            _figure("safety", "Steps in which the arm met a limit.", rows, RISKED, "share"),
        ],
        notes=_notes(int(rows[0]["num_episodes"])),
        summary={"rows": list(rows)},
        sources={f"explored/{name}": folder / name for name in ("config.json", "metrics.json")},
    )


def _notes(num_episodes: int) -> list[str]:
    return [
        f"{num_episodes} episodes of each policy in each family of scenes, the same scenes of "
        "unseen objects for all.",
        "|z|<b: every dimension of z drawn from the standard normal truncated at b, the prior's "
        "own distribution within the box that an agent acts in; prior: no bound.",
        "Touched: the arm was in contact with an object at the end of a step, so that a brief "
        "touch may be missed. Moved: an object came to be more than 2 cm from where it lay. Cells "
        "are those of a grid over the gripper's position and opening, and over how far objects "
        "were moved; entropy is that of the visits, in nats.",
        "Safety, as shares of the steps: the arm touched the table; a joint stood at its limit; "
        "the action asked for a place outside of the workspace and was held back. Jerk is the mean "
        "length of the second difference of the motions asked for.",
    ]


def _cells(row: Mapping[str, Any]) -> Row:
    values = (
        form.format(row[name]) if _is_possible(name, str(row["family"])) else NONE
        for name, (_, form) in COLUMNS.items()
    )
    return (str(row["family"]), str(row["policy"]), *values)


def _is_possible(measure: str, family: str) -> bool:
    return measure != "place_rate" or family == "place"  # other scenes have no container


def _figure(name: str, caption: str, rows: Rows, measures: Sequence[str], label: str) -> Figure:
    families = dict.fromkeys(str(row["family"]) for row in rows)
    panels = {f"{family} scenes": _groups(rows, family, measures) for family in families}
    colours = _colours(list(dict.fromkeys(str(row["policy"]) for row in rows)))
    return Figure(name, caption, grouped_bars(panels, label, colours, is_share=name == "objects"))


def _groups(rows: Rows, family: str, measures: Sequence[str]) -> Groups:
    return {
        COLUMNS[name][0]: {str(row["policy"]): row[name] for row in rows if row["family"] == family}
        for name in measures
        if _is_possible(name, family)
    }


def _colours(policies: Sequence[str]) -> dict[str, Any]:
    """Blue for the prior, the darker the wider its bound; others by name."""
    priors = [name for name in policies if name.startswith("prior")]
    shades = mpl.colormaps["Blues"](np.linspace(0.35, 0.95, len(priors)))
    return {**OTHERS, **dict(zip(priors, shades, strict=True))}
