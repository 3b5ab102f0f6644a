"""Which share of actions the agent of each run can produce, as the judgement of its prior tells."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from parrot_data.stores.publish import read_json
from parrot_models.methods.names import PART_OF_METHOD, REACH_OF_METHOD
from parrot_models.report_page.judged import Judgement
from parrot_models.report_page.learning import Run

CONFIG = "config.json"
MEASURES = ("demonstrated", "uniform")


def with_reach(runs: Sequence[Run], judgements: Mapping[str, Judgement]) -> list[Run]:
    """The runs, told what their agents can reach.

    Args:
        runs: of any methods.
        judgements: of what they start from, by name of the part.

    Returns:
        The same runs. Their `reach` stays empty where the method's part was not judged for it or
        not within the agent's limits, and where an agent chooses no single actions; if no part was
        judged for it at all, it stays empty for all.
    """
    reached = {name: judged.metrics.get("reach", []) for name, judged in judgements.items()}
    if not any(reached.values()):
        return list(runs)
    return [dataclasses.replace(run, reach=_reach(run, reached)) for run in runs]


def _reach(run: Run, reached: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, float]:
    method = run.key.method
    kind = REACH_OF_METHOD.get(method)
    if kind is None:
        return {}
    agent = read_json(run.folder / CONFIG)["agent"]
    if agent["hold_steps"] > 1:  # no single actions either
        return {}
    if kind == "actions":
        return dict.fromkeys(MEASURES, 1.0)
    # Read is only what bounds the method: runs of before other methods came have no more
    bound = {"latents": None, "wider box": "last_latent_bound"}.get(kind, "latent_bound")
    wanted = {
        "latent_bound": None if bound is None else agent[bound],
        "edit_scale": agent["edit_scale"] if kind == "edited box" else 0.0,
    }
    for row in reached.get(PART_OF_METHOD[method], []):
        if all(row[name] == value for name, value in wanted.items()):
            return {name: row[name] for name in MEASURES}
    return {}
