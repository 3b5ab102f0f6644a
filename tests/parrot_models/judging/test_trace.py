"""Traces tell what happened: the same scene for all, contacts and limits where they are met."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.judging.exploration_policies import truncated_normal
from parrot_models.judging.exploration_trace import MakePolicy, trace_episode
from parrot_models.judging.rollouts import random_policy, unseen_scenes

PARAMS = EnvironmentParams(image_size=48, proprioception=True, episode_steps=12)


@pytest.fixture(scope="module")
def env() -> Iterator[TabletopEnv]:
    env = unseen_scenes(PARAMS, "pick", 2)
    yield env
    env.close()


def always(*motion: float) -> MakePolicy:
    action = np.zeros(7, np.float32)
    action[: len(motion)] = motion
    return lambda _env, _rng: lambda _observation: action


def at_random() -> MakePolicy:
    return lambda _env, rng: random_policy(rng)


def test_an_episode_is_a_function_of_seed_and_index(env: TabletopEnv) -> None:
    first = trace_episode(env, at_random(), 5, 3)
    other = trace_episode(env, at_random(), 5, 4)
    again = trace_episode(env, at_random(), 5, 3)
    assert np.array_equal(first.actions, again.actions)
    assert np.array_equal(first.objects, again.objects)
    assert not np.array_equal(first.actions, other.actions)


def test_every_policy_meets_the_same_scene(env: TabletopEnv) -> None:
    busy, idle = (trace_episode(env, policy, 5, 3) for policy in (at_random(), always()))
    assert np.array_equal(busy.objects[0], idle.objects[0])


def test_an_idle_arm_meets_no_limit(env: TabletopEnv) -> None:
    trace = trace_episode(env, always(), 0, 0)
    assert not trace.is_on_table.any()
    assert not trace.is_at_joint_limit.any()
    assert not trace.is_held_back.any()


@pytest.mark.parametrize("motion", [(1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 1)])
def test_an_arm_that_leaves_the_workspace_is_held_back_once_it_is_at_its_border(
    env: TabletopEnv, motion: tuple[float, ...]
) -> None:
    trace = trace_episode(env, always(*motion), 0, 0)
    assert not trace.is_held_back[0]
    assert trace.is_held_back[-1]


def test_fingers_pressed_down_with_a_tilt_touch_the_table(env: TabletopEnv) -> None:
    tilted = always(0, 0, -1, 0.4, 0, 0)
    traces = [trace_episode(env, tilted, 0, index) for index in range(3)]
    assert not any(trace.is_on_table[0] for trace in traces)
    assert any(trace.is_on_table[-1] for trace in traces)


@pytest.mark.parametrize("bound", [0.5, 2.0])
def test_a_truncated_normal_is_the_normal_within_its_bound(bound: float) -> None:
    generator = torch.Generator().manual_seed(0)
    z = truncated_normal(bound, 50_000, generator)[0]
    assert float(z.abs().max()) <= bound
    normal = torch.randn(400_000, generator=generator)
    expected = float(normal[normal.abs() < bound].std())
    assert float(z.std()) == pytest.approx(expected, rel=0.02)
    assert float(z.mean()) == pytest.approx(0.0, abs=0.02)
