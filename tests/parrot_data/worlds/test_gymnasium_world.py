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
from parrot_data.worlds.params import EnvironmentParams, Names, names_in


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
    with pytest.raises(UserError, match="no family is called 'far'"):
        world.unseen("far")
    assert world.demonstrator() is None
    assert names_in(params()) == Names(("near",), (), ())


def test_a_plain_vector_gets_a_name_and_success_may_be_a_reward() -> None:
    tasks = {"swing": {"id": "Pendulum-v1", "kwargs": {}}}
    world = make_world(params(tasks=tasks, success={"reward_at_least": -100.0}, max_steps=7))
    assert world.spec.vectors == {"state": 3}
    rolled = roll_out(world.make_env("swing"), lambda e: lambda _o: np.zeros(1, np.float32), 0)
    assert len(rolled.actions) == 7 == world.max_steps
    assert rolled.success
    assert rolled.observations[0]["state"].dtype == np.float32


class Odd(gymnasium.Env):
    """It has any spaces, and shows a sample of them, or whatever else it is given."""

    def __init__(
        self, observation: spaces.Space, action: spaces.Space, shown=None, render_mode=None
    ) -> None:
        self.observation_space, self.action_space = observation, action
        self.render_mode, self.shown = render_mode, shown

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.observation_space.seed(seed)
        return self.observation_space.sample() if self.shown is None else self.shown, {}

    def step(self, action):
        assert self.action_space.contains(action)
        info = {"is_success": True, "privileged": {"a": np.zeros(1)}, 3: "a key that is no word"}
        return self.observation_space.sample(), 0.0, False, False, info


def broken(render_mode=None):
    raise OSError("the licence server\ndoes not answer")


def drawn(render_mode="rgb_array"):
    assert render_mode == "rgb_array"
    return Odd(BOX, BOX, render_mode=render_mode)


gymnasium.register("toy/Drawn-v0", entry_point=drawn)
gymnasium.register("toy/Odd-v0", entry_point=Odd)
gymnasium.register("toy/Broken-v0", entry_point=broken)
BOX = spaces.Box(-1, 1, (2,))
IMAGE = spaces.Box(0, 255, (5, 7, 3), np.uint8)


def odd(observation: spaces.Space, action: spaces.Space = BOX, shown: object = None):
    kwargs = {"observation": observation, "action": action, "shown": shown}
    return params(tasks={"a": {"id": "toy/Odd-v0", "kwargs": kwargs}}, max_steps=4)


@pytest.mark.parametrize(
    ("space", "images", "vectors"),
    [
        (spaces.Box(-1, 1, (3,), np.float64), {}, {"state": 3}),
        (spaces.Box(-1, 1, (), np.float32), {}, {"state": 1}),
        (IMAGE, {"image": (5, 7, 3)}, {}),
        (spaces.Dict({  # a goal environment
            "observation": spaces.Box(-np.inf, np.inf, (4,), np.float64),
            "achieved_goal": BOX, "desired_goal": BOX,
        }), {}, {"observation": 4, "achieved_goal": 2, "desired_goal": 2}),
        (spaces.Dict({"walker/pose": BOX, "height": spaces.Box(0, 1, (), np.float64),
            "eyes": spaces.Dict({"left": IMAGE, "right": IMAGE})}),
         {"eyes_left": (5, 7, 3), "eyes_right": (5, 7, 3)}, {"walker_pose": 2, "height": 1}),
    ],
)  # fmt: skip
def test_spaces_of_many_kinds_are_described(space, images, vectors) -> None:
    world = make_world(odd(space))
    assert {name: image.shape for name, image in world.spec.images.items()} == images
    assert world.spec.vectors == vectors
    env = world.make_env("a")
    for shown in (env.reset(seed=0)[0], env.step(np.full(2, 5.0))[0]):
        world.spec.check_observation(shown, "a step")
        assert env.observation_space.contains(shown)


def test_one_that_knows_no_rendering_of_none_is_made_and_filmed() -> None:
    world = make_world(params(tasks={"a": {"id": "toy/Drawn-v0", "kwargs": {}}}, max_steps=4))
    assert world.make_env("a").render_mode == world.make_env("a", "rgb_array").render_mode


def test_a_limit_in_params_goes_before_the_registered_one() -> None:
    tasks = {"near": {"id": "tests.toy_world:toy/Reach-v0", "kwargs": {"ends": False}}}
    world = make_world(params(tasks=tasks, max_steps=40))
    env = world.make_env("near")
    assert len(roll_out(env, lambda e: lambda _o: np.zeros(2, np.float32), 0).actions) == 40
    assert world.max_steps == 40


@pytest.mark.parametrize(
    ("low", "high"),
    [(-np.inf, np.inf), (0.0, np.inf), (-np.finfo(np.float32).max, np.finfo(np.float32).max)],
)
def test_an_action_that_is_not_bounded_on_both_sides_has_no_bounds(low: float, high: float) -> None:
    world = make_world(odd(BOX, spaces.Box(np.float32(low), np.float32(high), (2,))))
    assert world.spec.action.low is None
    assert world.spec.action.high is None
    env = world.make_env("a")
    env.reset(seed=0)
    env.step(np.array([-5.0, 5.0], np.float32))  # clipped to the environment's own space


def test_nothing_privileged_gets_through() -> None:
    env = make_world(odd(BOX)).make_env("a")
    env.reset(seed=0)
    *_, info = env.step(np.zeros(2))
    assert "privileged" not in info
    assert info["is_success"] is True


@pytest.mark.parametrize("shown", [{"pose": np.zeros(2)}, np.zeros(3), np.zeros((2, 2)), None, "x"])
def test_an_observation_unlike_its_space_is_said(shown: object) -> None:
    env = make_world(
        odd(spaces.Dict({"place": BOX}), shown=3 if shown is None else shown)
    ).make_env("a")
    with pytest.raises(UserError, match=r"tasks\.a: an observation is not as .* space says"):
        env.reset(seed=0)


def test_an_image_of_floats_is_not_cast_to_black() -> None:
    env = make_world(odd(IMAGE, shown=np.full((5, 7, 3), 0.5))).make_env("a")
    with pytest.raises(UserError, match="an image is float64"):
        env.reset(seed=0)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"tasks": {"a": {"id": "nobody/Knows-v0", "kwargs": {}}}}, "cannot make nobody/Knows-v0"),
        ({"tasks": {"a": {"id": "no_such_module:X-v0", "kwargs": {}}}}, "cannot make no_such"),
        ({"tasks": {"a": {"id": "a:b:c", "kwargs": {}}}}, "cannot make a:b:c"),
        ({"tasks": {"a": {"id": "Pendulum-v1", "kwargs": {"wings": 2}}}}, "cannot make Pendulum"),
        ({"tasks": {"a": {"id": "toy/Broken-v0", "kwargs": {}}}},
         r"cannot make toy/Broken-v0 \(OSError: the licence server, test_gymnasium_world.py line"),
        ({"tasks": {"a": {"id": "CartPole-v1", "kwargs": {}}}}, "the action is Discrete"),
        ({"tasks": {"a": {"id": "toy/Odd-v0", "kwargs": {"observation": BOX, "action": BOX}}}},
         "registered without a limit"),
        ({"tasks": {
            "a": {"id": "Pendulum-v1", "kwargs": {}},
            "b": {"id": "tests.toy_world:toy/Reach-v0", "kwargs": {}}}},
         "a and b have other observations"),
    ],
)  # fmt: skip
def test_what_cannot_be_a_world_is_said_in_one_sentence(changes, sentence) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        make_world(params(**changes))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("observation", "action", "sentence"),
    [
        (spaces.Dict({"depth": spaces.Box(0, 1, (4, 4))}), BOX, r"observation depth .* neither"),
        (spaces.Box(0, 255, (4, 4, 1), np.uint8), BOX, "observation image|state is .* neither"),
        (spaces.Box(0, 9, (4,), np.int64), BOX, r"vector of real numbers \(float\)"),
        (spaces.Box(0, 255, (128,), np.uint8), BOX, "real numbers"),
        (spaces.Box(0, 1, (4,), np.bool_), BOX, "real numbers"),
        (spaces.MultiBinary(4), BOX, "MultiBinary"),
        (spaces.Discrete(4), BOX, "Discrete"),
        (
            spaces.Dict({"a": spaces.Dict({"b": spaces.Discrete(2)})}),
            BOX,
            "observation a_b is Disc",
        ),
        (spaces.Dict({"a/b": BOX, "a_b": BOX}), BOX, "a/b and a_b would both be called a_b"),
        (spaces.Dict({"9th": BOX}), BOX, "no name of an array"),
        (spaces.Dict({}), BOX, "at least 1"),
        (spaces.Box(0, 255, (5000, 2, 3), np.uint8), BOX, "observation image: .*height: Input"),
        (BOX, spaces.Box(-1, 1, (2, 2)), "the action is Box"),
        (BOX, spaces.Box(-1, 1, ()), "the action is Box"),
        (BOX, spaces.Box(0, 3, (2,), np.int64), "the action is Box"),
        (BOX, spaces.Box(0.0, 0.0, (2,)), "lies below"),
        (BOX, spaces.MultiDiscrete([2, 3]), "the action is MultiDiscrete"),
    ],
)
def test_spaces_that_a_spec_cannot_say_are_refused_in_one_sentence(
    observation, action, sentence
) -> None:
    with pytest.raises(UserError, match=sentence) as caught:
        make_world(odd(observation, action))
    assert "\n" not in str(caught.value)


def test_success_that_an_info_lacks_is_said() -> None:
    world = make_world(params(success={"info": "has_won"}))
    env = world.make_env("near")
    env.reset(seed=0)
    with pytest.raises(UserError, match=r"no 'has_won', only .*is_success"):
        env.step(np.zeros(2, np.float32))
