"""Traces tell what happened: the same scene for all, contacts and limits where they are met."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from parrot_data.errors import UserError
from parrot_data.worlds.tabletop.params import TabletopParams
from parrot_data.worlds.tabletop.world import TabletopWorld
from parrot_data.worlds.world import Env
from parrot_models.judging.exploration_trace import Trace, check_traceable, trace_episode
from parrot_models.judging.policies import Policy, uniform
from tests.toy_world import ToyWorld

BOX = (np.full(7, -1.0, np.float32), np.full(7, 1.0, np.float32))
PARAMS = TabletopParams.model_validate(
    {
        "name": "tabletop",
        "image_size": 48,
        "proprioception": True,
        "episode_steps": 12,
        "demonstrations": {"action_noise": 0.1, "num_objects": [2, 3]},
    }
)
WORLD = TabletopWorld(PARAMS)


@pytest.fixture(scope="module")
def env() -> Iterator[Env]:
    env = WORLD.unseen("pick")
    yield env
    env.close()


def traced(env: Any, policy: Policy, seed: int = 0, index: int = 0) -> Trace:
    return trace_episode(WORLD, env, policy, BOX, seed, index)


def always(*motion: float) -> Policy:
    action = np.zeros(7, np.float32)
    action[: len(motion)] = motion
    return lambda _env, _rng: lambda _observation: action


def test_an_episode_is_a_function_of_seed_and_index(env: Env) -> None:
    first, other, again = (traced(env, uniform(BOX), 5, index) for index in (3, 4, 3))
    assert np.array_equal(first.actions, again.actions)
    assert np.array_equal(first.objects, again.objects)
    assert not np.array_equal(first.actions, other.actions)


def test_every_policy_meets_the_same_scene(env: Env) -> None:
    busy, idle = (traced(env, policy, 5, 3) for policy in (uniform(BOX), always()))
    assert np.array_equal(busy.objects[0], idle.objects[0])


def test_an_idle_arm_meets_no_limit(env: Env) -> None:
    trace = traced(env, always())
    assert trace.risks.keys() == {"table_contact", "joint_limit", "workspace_limit"}
    for happened in trace.risks.values():
        assert happened.shape == (PARAMS.episode_steps,)
        assert not happened.any()
    assert trace.outcomes == dict.fromkeys(
        ("success", "touched", "any_object", "wrong_object"), False
    )


@pytest.mark.parametrize("motion", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)])
def test_an_arm_that_leaves_the_workspace_is_held_back_once_it_is_at_its_border(
    env: Env, motion: tuple[float, ...]
) -> None:
    is_held_back = traced(env, always(*motion)).risks["workspace_limit"]
    assert not is_held_back[0]
    assert is_held_back[-1]


def test_fingers_pressed_down_with_a_tilt_touch_the_table(env: Env) -> None:
    tilted = always(0, 0, -1, 0.4, 0, 0)
    touches = [traced(env, tilted, 0, index).risks["table_contact"] for index in range(3)]
    assert not any(happened[0] for happened in touches)
    assert any(happened.any() for happened in touches)


def test_the_tool_is_found_without_being_observed(env: Env) -> None:
    """Where no observation tells it, a privileged array does."""
    blind = TabletopWorld(PARAMS.model_copy(update={"proprioception": False}))
    check_traceable(blind.spec)
    other = blind.unseen("pick")
    trace = trace_episode(blind, other, always(1, 0, 0), BOX, 0, 0)
    other.close()
    assert np.allclose(trace.tools, traced(env, always(1, 0, 0)).tools)
    assert trace.tools.shape == (PARAMS.episode_steps + 1, 3)
    assert np.isfinite(trace.objects).all()


def test_a_world_that_does_not_tell_where_things_are_is_refused() -> None:
    with pytest.raises(UserError, match="lacks a privileged array object_positions"):
        check_traceable(ToyWorld().spec)
