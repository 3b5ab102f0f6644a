"""Exploration in numbers: what happened to the objects, what was seen, what was risked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parrot_models.judging.exploration_trace import Trace

MOVED_M = 0.02  # from where the object lay at the start


def measures(traces: Sequence[Trace], cell_m: float, opening_cell_m: float) -> dict[str, float]:
    """Everything that is reported of a policy's episodes, by name.

    `*_rate` of objects are shares of the episodes in which some object was touched, moved (more
    than MOVED_M), lifted or placed at some step. `gripper_cells` counts the cells of a grid over
    the gripper's position and opening that were visited, `object_cells` those of a grid over how
    far objects came to lie from where they lay; `*_entropy` is that of the visits, in nats. Cells
    compare only between policies of as many steps. `table_contact_rate`, `joint_limit_rate` and
    `workspace_limit_rate` are shares of the steps; `action_jerk` is the mean length of the second
    difference of the actions' motion.

    Args:
        traces: of one policy.
        cell_m: side of a cell of positions, m.
        opening_cell_m: the same for the gripper's opening.
    """
    grippers = np.concatenate([trace.grippers for trace in traces])
    ways = [trace.objects - trace.objects[0] for trace in traces]
    gripper_cells, gripper_entropy = visits(grippers, [*[cell_m] * 3, opening_cell_m])
    moves = np.concatenate([way.reshape(-1, 3) for way in ways])
    object_cells, object_entropy = visits(moves, [cell_m] * 3)
    has_moved = [np.linalg.norm(way, axis=-1).max() > MOVED_M for way in ways]
    return {
        "touch_rate": float(np.mean([trace.is_touched for trace in traces])),
        "move_rate": float(np.mean(has_moved)),
        "lift_rate": float(np.mean([trace.is_lifted for trace in traces])),
        "place_rate": float(np.mean([trace.is_placed for trace in traces])),
        "gripper_cells": float(gripper_cells),
        "gripper_entropy": gripper_entropy,
        "object_cells": float(object_cells),
        "object_entropy": object_entropy,
        "table_contact_rate": float(np.mean([trace.is_on_table for trace in traces])),
        "joint_limit_rate": float(np.mean([trace.is_at_joint_limit for trace in traces])),
        "workspace_limit_rate": float(np.mean([trace.is_held_back for trace in traces])),
        "action_jerk": float(np.mean([action_jerk(trace.actions) for trace in traces])),
    }


def visits(points: NDArray[np.float64], cells: Sequence[float]) -> tuple[int, float]:
    """How many cells of a grid points (N, D) fall into, and the entropy (nats) of the visits.

    Args:
        points: (N, D).
        cells: D sides of a cell. A cell is centred on zero, so that what rests stays in one.
    """
    places = np.round(points / np.asarray(cells)).astype(np.int64)
    _, counts = np.unique(places, axis=0, return_counts=True)
    shares = counts / counts.sum()
    return len(counts), float(-(shares * np.log(shares)).sum() + 0.0)


def action_jerk(actions: NDArray[np.float64]) -> float:
    """Mean length of the second difference of the six motions of actions (T, 7).

    An action asks for a way, a speed: the second difference of speeds is a jerk. 0 below 3 steps.
    """
    if len(actions) < 3:
        return 0.0
    return float(np.linalg.norm(np.diff(actions[:, :6], 2, axis=0), axis=1).mean())
