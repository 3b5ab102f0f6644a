"""Exploration in numbers: what happened to the objects, what was seen, what was risked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parrot_models.judging.exploration_trace import Trace
from parrot_models.judging.rollouts import rates_of

MOVED_M = 0.02  # from where the object lay at the start


def measures(traces: Sequence[Trace], cell_m: float) -> dict[str, float]:
    """Everything that is reported of a policy's episodes, by name.

    `success_rate`, the `*_rate` of the environment's outcomes and `moved_rate` are shares of the
    episodes: in the last some object moved more than MOVED_M at some step. `tool_cells` counts the
    cells of a grid over the tool's position that were visited, `object_cells` those of a grid over
    how far objects came to lie from where they lay; `*_entropy` is that of the visits, in nats.
    Cells compare only between policies of as many steps. `*_step_rate`, one a risk that the
    environment tells of, are shares of the steps; `action_jerk` is the mean length of the second
    difference of the actions.

    Args:
        traces: of one policy.
        cell_m: side of a cell, m.
    """
    tools = np.concatenate([trace.tools for trace in traces])
    ways = [trace.objects - trace.objects[0] for trace in traces]
    tool_cells, tool_entropy = visits(tools, cell_m)
    object_cells, object_entropy = visits(np.concatenate([w.reshape(-1, 3) for w in ways]), cell_m)
    has_moved = [bool((np.linalg.norm(way, axis=-1) > MOVED_M).any()) for way in ways]
    risks = {
        f"{name}_step_rate": float(np.concatenate([trace.risks[name] for trace in traces]).mean())
        for name in traces[0].risks
    }
    return {
        **rates_of([dict(trace.outcomes) for trace in traces]),
        "moved_rate": float(np.mean(has_moved)),
        "tool_cells": float(tool_cells),
        "tool_entropy": tool_entropy,
        "object_cells": float(object_cells),
        "object_entropy": object_entropy,
        **risks,
        "action_jerk": float(np.mean([action_jerk(trace.actions) for trace in traces])),
    }


def visits(points: NDArray[np.float64], cell: float) -> tuple[int, float]:
    """How many cells of a grid points (N, D) fall into, and the entropy (nats) of the visits.

    Args:
        points: (N, D).
        cell: side of a cell. One is centred on zero, so that what rests stays in one.
    """
    if not len(points):
        return 0, 0.0
    _, counts = np.unique(np.round(points / cell).astype(np.int64), axis=0, return_counts=True)
    shares = counts / counts.sum()
    return len(counts), float(-(shares * np.log(shares)).sum() + 0.0)


def action_jerk(actions: NDArray[np.float64]) -> float:
    """Mean length of the second difference of actions (T, A).

    Of actions that ask for a way, which a step makes a speed, it is a jerk. 0 below 3 steps.
    """
    if len(actions) < 3:
        return 0.0
    return float(np.linalg.norm(np.diff(actions, 2, axis=0), axis=1).mean())
