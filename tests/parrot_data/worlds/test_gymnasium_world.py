"""Environments of others, by their id alone."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces
from pydantic import TypeAdapter

from parrot_data.episodes.rollout import roll_out
from parrot_data.errors import UserError
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams


def params(**changes: object) -> EnvironmentParams:
    values = {
        "name": "gymnasium",
        "tasks": {"near": {"id": "tests.toy_world:toy/Reach-v0", "kwargs": {}}},
        "success": {"info": "is_success"},
        "max_steps": None,
        **changes,
    }
    return TypeAdapter(EnvironmentParams).validate_python(values)


def test_a_registered_environment_is_a_world() -> None:
    world = make_world(params())
    assert list(world.tasks) == ["near"]
    assert world.spec.vectors == {"goal": 2, "position": 2}
    assert world.spec.action.low == [-1.0, -1.0]
    assert world.max_steps == 30
    env = world.make_env("near")
    rolled = roll_out(env, lambda e: lambda _o: 9.0 * np.ones(2, np.float32), 0)
    assert len(rolled.actions) == 30  # clipped to its bounds, or the point would fly off
    assert rolled.observations[-1]["position"].tolist() == [1.0, 1.0]
    world.spec.check_observation(rolled.observations[-1], "a step")
    with pytest.raises(UserError, match="no task is called 'far'; choose one of near"):
        world.make_env("far")


def test_a_plain_vector_gets_a_name_and_success_may_be_a_reward() -> None:
    tasks = {"swing": {"id": "Pendulum-v1", "kwargs": {}}}
    world = make_world(params(tasks=tasks, success={"reward_at_least": -100.0}, max_steps=7))
    assert world.spec.vectors == {"state": 3}
    rolled = roll_out(world.make_env("swing"), lambda e: lambda _o: np.zeros(1, np.float32), 0)
    assert len(rolled.actions) == 7 == world.max_steps
    assert rolled.success
    assert rolled.observations[0]["state"].dtype == np.float32


class Odd(gymnasium.Env):
    def __init__(self, observation: spaces.Space, action: spaces.Space, render_mode=None) -> None:
        self.observation_space, self.action_space = observation, action


gymnasium.register("toy/Odd-v0", entry_point=Odd)
BOX = spaces.Box(-1, 1, (2,))


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tasks": {"a": {"id": "nobody/Knows-v0", "kwargs": {}}}}, "cannot make nobody/Knows-v0"),
        ({"tasks": {"a": {"id": "no_such_module:X-v0", "kwargs": {}}}}, "cannot make no_such"),
        ({"tasks": {"a": {"id": "Pendulum-v1", "kwargs": {"wings": 2}}}}, "cannot make Pendulum"),
        ({"tasks": {"a": {"id": "CartPole-v1", "kwargs": {}}}}, "the action is Discrete"),
        ({"tasks": {"a": {"id": "toy/Odd-v0", "kwargs": {
            "observation": spaces.Dict({"depth": spaces.Box(0, 1, (4, 4))}), "action": BOX}}}},
         r"observation depth .* neither"),
        ({"tasks": {"a": {"id": "toy/Odd-v0", "kwargs": {"observation": BOX, "action": BOX}}}},
         "registered without a limit"),
        ({"tasks": {
            "a": {"id": "Pendulum-v1", "kwargs": {}},
            "b": {"id": "tests.toy_world:toy/Reach-v0", "kwargs": {}}}},
         "a and b have other observations"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_world_is_said_in_one_sentence(changes, sentence) -> None:
    with pytest.raises(UserError, match=sentence):
        make_world(params(**changes))


def test_success_that_an_info_lacks_is_said() -> None:
    world = make_world(params(success={"info": "has_won"}))
    env = world.make_env("near")
    env.reset(seed=0)
    with pytest.raises(UserError, match=r"no 'has_won', only .*is_success"):
        env.step(np.zeros(2, np.float32))


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("no_such_module:make", "no_such_module cannot be imported"),
        ("tests.toy_world:make_worlds", "has no make_worlds"),
    ],
)
def test_a_factory_that_is_not_there_is_said(name: str, sentence: str) -> None:
    own = TypeAdapter(EnvironmentParams).validate_python({"name": name, "kwargs": {}})
    with pytest.raises(UserError, match=sentence):
        make_world(own)


def test_a_factory_of_the_users_own_is_a_world() -> None:
    values = {"name": "tests.toy_world:make_world", "kwargs": {"action_dim": 5}}
    world = make_world(TypeAdapter(EnvironmentParams).validate_python(values))
    assert world.spec.action.dim == 5
    assert world.demonstrator() is not None
