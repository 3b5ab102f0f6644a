"""Meta-World as a world: its names, its purity, its scripts, what it shows."""

from __future__ import annotations

import ctypes.util
import json
import os

import parrot_data.worlds.metaworld.headless  # noqa: F401  # isort: skip
import numpy as np
import pytest
from metaworld.env_dict import ALL_V3_ENVIRONMENTS, ML45_V3
from metaworld.policies import ENV_POLICY_MAP
from pydantic import TypeAdapter

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import roll_out
from parrot_data.errors import UserError
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_data.worlds.metaworld.params import MetaworldParams
from parrot_data.worlds.metaworld.tasks import TASKS, TRAINING, UNSEEN
from parrot_data.worlds.params import (
    EnvironmentParams,
    Names,
    names_in,
)

VALUES = {
    "name": "metaworld",
    "image_size": None,
    "action_repeat": 3,
    "episode_steps": 50,
    "demonstrations": {"action_noise": 0.1},
}


def params(**changes: object) -> MetaworldParams:
    read = TypeAdapter(EnvironmentParams).validate_json(json.dumps({**VALUES, **changes}))
    assert isinstance(read, MetaworldParams)
    return read


def assert_same(one: Episode, other: Episode) -> None:
    assert one.metadata_text() == other.metadata_text()
    others = other.arrays()
    for name, array in one.arrays().items():
        assert array.tobytes() == others[name].tobytes(), name


def test_names_are_the_packages() -> None:
    assert {f"{name}-v3" for name in TRAINING} == set(ML45_V3["train"])
    assert {f"{name}-v3" for name in UNSEEN} == set(ML45_V3["test"])
    names = {f"{name}-v3" for name in TASKS}
    assert names == set(ALL_V3_ENVIRONMENTS) == set(ENV_POLICY_MAP)
    assert names_in(params()) == Names(TASKS, TASKS, UNSEEN)
    assert tuple(make_world(params()).families) == UNSEEN


def test_an_episode_is_a_function_of_seed_and_index() -> None:
    tasks = {"door-lock": 1.0, "pick-place": 1.0}
    one, other = (Demonstrations(make_world(params(episode_steps=12)), tasks, 3) for _ in range(2))
    for index in (0, 1, 2):
        one.episode(index)
    assert_same(one.episode(3), other.episode(3))
    assert not np.array_equal(one.episode(4).actions, other.episode(3).actions)
    one.close()
    other.close()


def test_scenes_differ_from_seed_to_seed_and_show_their_goal() -> None:
    env = make_world(params()).make_env("reach")
    states = [env.reset(seed=seed)[0]["state"] for seed in (0, 1, 0)]
    env.close()
    assert np.array_equal(states[0], states[2])
    goals = [state[-3:] for state in states]
    assert np.abs(goals[0]).max() > 0.1
    assert not np.array_equal(goals[0], goals[1])


def test_scripts_achieve_their_tasks_and_success_ends_the_episode() -> None:
    demonstrations = Demonstrations(make_world(params()), {"door-unlock": 1.0}, 0)
    episodes = [demonstrations.episode(index) for index in range(5)]
    demonstrations.close()
    achieved = [episode for episode in episodes if episode.success]
    assert len(achieved) >= 4
    for episode in achieved:
        assert episode.terminated
        assert episode.rewards.tolist() == [0.0] * (episode.num_steps - 1) + [1.0]


def test_doing_nothing_fails_when_time_is_over() -> None:
    env = make_world(params(episode_steps=4)).unseen("door-lock")
    rollout = roll_out(env, lambda _env: lambda _seen: np.zeros(4, np.float32), seed=0)
    env.close()
    assert (len(rollout.actions), rollout.terminated, rollout.success) == (4, False, False)
    assert rollout.infos[-1]["failure"] == "out of time"


def test_an_action_lasts_as_long_as_it_is_repeated() -> None:
    moved = []
    for repeat in (1, 3):
        env = make_world(params(action_repeat=repeat)).make_env("reach")
        before = env.reset(seed=0)[0]["state"][:3]
        moved.append(env.step(np.array([1, 0, 0, 0], np.float32))[0]["state"][:3] - before)
        env.close()
    assert np.linalg.norm(moved[1]) > 2 * np.linalg.norm(moved[0]) > 0.0


@pytest.mark.parametrize("action", [[2.0, 0, 0, 0], [1.0, 0, 0, 0]])
def test_actions_beyond_their_bounds_are_clipped(action: list[float]) -> None:
    env = make_world(params()).make_env("reach")
    env.reset(seed=0)
    seen = env.step(np.array(action, np.float32))[0]["state"]
    env.reset(seed=0)
    assert np.array_equal(seen, env.step(np.array([1.0, 0, 0, 0], np.float32))[0]["state"])
    env.close()


@pytest.fixture
def renders() -> None:
    """Skip where a machine has no EGL to render without a screen."""
    if ctypes.util.find_library("EGL") is None and os.environ["MUJOCO_GL"] == "egl":
        pytest.skip("there is no EGL: apt-get install libegl1")


@pytest.mark.usefixtures("renders")
def test_images_and_rendering_change_nothing_else() -> None:
    plain, seen = make_world(params()), make_world(params(image_size=32))
    states = []
    for world, mode in ((plain, None), (seen, "rgb_array")):
        env = world.make_env("door-lock", mode)
        env.reset(seed=1)
        for _ in range(3):
            observation = env.step(np.array([0.5, 0, 0.2, 0], np.float32))[0]
            if mode:
                assert env.render().std() > 10
        states.append(observation["state"])
        env.close()
    assert np.array_equal(*states)
    assert observation["image"].shape == (32, 32, 3)
    assert observation["image"].std() > 10


def test_longer_episodes_than_the_package_has_are_refused() -> None:
    with pytest.raises(ValueError, match="200 of 3 simulated steps are more than the 500"):
        params(episode_steps=200)


def test_an_unknown_task_is_one_sentence() -> None:
    with pytest.raises(UserError, match="no task is called 'door'; choose one of assembly"):
        make_world(params()).make_env("door")
