"""Measures of exploration, on episodes whose measures are known."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from parrot_models.judging.exploration_measures import MOVED_M, action_jerk, measures, visits
from parrot_models.judging.exploration_trace import Trace

STEPS = 4


def still() -> Trace:
    """Nothing happens."""
    never = np.zeros(STEPS, np.bool_)
    return Trace(
        tools=np.tile([0.3, 0.0, 0.13], (STEPS + 1, 1)),
        objects=np.tile([[0.3, 0.01, 0.02], [0.25, -0.07, 0.02]], (STEPS + 1, 1, 1)),
        actions=np.zeros((STEPS, 7)),
        outcomes={"success": False, "touched": False},
        risks={"table_contact": never, "joint_limit": never},
    )


def moved(distance: float) -> Trace:
    """Somewhere on the way, and only then, the second object is so far from where it lay."""
    trace = still()
    trace.objects[2, 1, 0] += distance
    return trace


def test_nothing_happens_in_one_cell_without_entropy() -> None:
    values = measures([still(), still()], 0.02)
    assert (values.pop("tool_cells"), values.pop("object_cells")) == (1, 1)
    assert set(values.values()) == {0.0}


@pytest.mark.parametrize(
    ("distance", "rate"), [(0.99 * MOVED_M, 0.0), (1.01 * MOVED_M, 0.5), (-0.05, 0.5)]
)
def test_an_object_has_moved_once_it_was_far_enough(distance: float, rate: float) -> None:
    assert measures([still(), moved(distance)], 0.02)["moved_rate"] == rate


def test_rates_are_shares_of_episodes_and_of_steps() -> None:
    half = np.array([True, False, True, False])
    busy = replace(
        still(),
        outcomes={"success": True, "touched": True},
        risks={"table_contact": half, "joint_limit": np.ones(STEPS, np.bool_)},
    )
    values = measures([busy, still()], 0.02)
    assert values["touched_rate"] == values["success_rate"] == 0.5
    assert values["table_contact_step_rate"] == 0.25
    assert values["joint_limit_step_rate"] == 0.5


def test_where_objects_lie_does_not_count_but_how_far_they_move_does() -> None:
    elsewhere = replace(still(), objects=still().objects + 0.1)
    assert measures([still(), elsewhere], 0.02)["object_cells"] == 1
    assert measures([still(), moved(0.05)], 0.02)["object_cells"] == 2


def test_visits_spread_evenly_have_the_log_of_their_number_for_entropy() -> None:
    points = np.stack(np.meshgrid(np.arange(5), np.arange(4)), -1).reshape(-1, 2) * 0.02
    count, entropy = visits(points, 0.02)
    assert count == 20
    assert entropy == pytest.approx(math.log(20))


def test_only_bent_motion_jerks() -> None:
    line = np.outer(np.arange(6), np.ones(7)) / 6
    assert action_jerk(line) == pytest.approx(0.0)
    flips = np.zeros((6, 7))
    flips[::2, 0], flips[1::2, 0] = 1.0, -1.0
    assert action_jerk(flips) == pytest.approx(4.0)
    assert action_jerk(flips[:2]) == 0.0
