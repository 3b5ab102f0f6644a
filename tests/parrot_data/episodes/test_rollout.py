"""One loop for every policy and every environment, and the record of what came of it."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from parrot_data.episodes.episode import episode_from, forms_of
from parrot_data.episodes.rollout import episode_of, episode_seed, record, roll_out
from parrot_data.errors import UserError
from parrot_data.streams import generator
from tests.toy_world import ToyWorld, make_world


def recorded(world: ToyWorld, index: int, task: str = "reach-near"):
    script = world.demonstrator()
    env = script.make_env(task)
    rolled = roll_out(
        env, lambda e: script.begin(e, generator(0, "script", index)), episode_seed(0, index)
    )
    return episode_of(rolled, index, task)


def test_an_episode_has_one_observation_more_than_actions_and_is_as_its_spec_says() -> None:
    world = make_world(action_dim=3, images={"camera": [20, 30]})
    episode = recorded(world, 0)
    for name, values in {**episode.observations, **episode.privileged}.items():
        assert len(values) == episode.num_steps + 1, name
    assert episode.actions.shape == (episode.num_steps, 3)
    for step in range(episode.num_steps + 1):
        seen = {name: values[step] for name, values in episode.observations.items()}
        world.spec.check_observation(seen, "a step")


def test_termination_ends_an_episode_and_truncation_cuts_it_off() -> None:
    ended = recorded(make_world(), 0)
    cut = recorded(make_world(ends=False), 0)
    short = recorded(make_world(max_steps=1), 0, "reach-far")
    assert ended.terminated
    assert ended.success
    assert ended.failure == ""
    assert ended.rewards[-1] == 1.0
    assert not cut.terminated
    assert cut.num_steps == 30
    assert short.num_steps == 1
    assert not short.success
    assert short.failure == "never_near"


def test_an_episode_is_a_function_of_seed_and_index_alone() -> None:
    world = make_world()
    again = [recorded(world, index).content_hash() for index in (3, 1, 3)]
    assert again[0] == again[2] != again[1]


def test_metadata_and_arrays_make_the_same_episode_again() -> None:
    world = make_world(images={"camera": [9, 8]})
    episode = recorded(world, 0)
    copy = episode_from(episode.metadata(), episode.arrays(), world.spec)
    assert copy.content_hash() == episode.content_hash()
    with pytest.raises(ValueError, match="shadow"):
        episode_from(episode.metadata(), {**episode.arrays(), "shadow": np.zeros(2)}, world.spec)


def test_an_environment_that_does_not_tell_success_is_said() -> None:
    world = make_world()
    env = world.make_env("reach-near")
    rolled = roll_out(env, lambda e: lambda _o: e.action_space.sample(), 0)
    for info in rolled.infos:
        del info["is_success"]
    with pytest.raises(UserError, match="does not say whether a task is achieved"):
        episode_of(rolled, 0, "reach-near")


def test_scenes_of_two_seeds_or_indices_differ() -> None:
    seeds = {episode_seed(seed, index) for seed in range(30) for index in range(30)}
    assert len(seeds) == 900
    assert all(0 <= seed < 2**32 for seed in seeds)


class Live(gymnasium.Wrapper):
    """It shows the same arrays and the same info again and again, as simulators like to do."""

    def reset(self, *, seed=None, options=None):
        seen, self.info = self.env.reset(seed=seed, options=options)
        self.info["privileged"]["goal_position"] = self.place = seen["position"]
        self.seen = seen
        return self.seen, self.info

    def step(self, action):
        seen, *told, info = self.env.step(action)
        self.place[:] = seen["position"]
        self.info["is_success"] = info["is_success"]
        return self.seen, *told, self.info


def test_a_record_does_not_change_with_what_the_environment_shows_later() -> None:
    action = np.zeros(2, np.float32)

    def same_array(_observation: object) -> np.ndarray:
        action[:] += 0.1
        return action

    env = Live(make_world(ends=False).make_env("reach-near"))
    rolled = roll_out(env, lambda _env: same_array, 0)
    episode = episode_of(rolled, 0, "reach-near")
    for rows in (
        episode.observations["position"], episode.privileged["goal_position"], episode.actions
    ):  # fmt: skip
        assert len(np.unique(rows[:5], axis=0)) == 5


def test_an_observation_that_is_no_dict_is_said() -> None:
    env = gymnasium.make("Pendulum-v1")
    with pytest.raises(UserError, match="shows a ndarray where a dict of observations"):
        roll_out(env, lambda e: lambda _o: e.action_space.sample(), 0)
    env.close()


def test_an_episode_that_does_not_end_is_said() -> None:
    env = make_world(ends=False, max_steps=9).make_env("reach-near")
    rolled = roll_out(env, lambda e: lambda _o: e.action_space.sample(), 0, max_steps=9)
    assert len(rolled.actions) == 9
    with pytest.raises(UserError, match="did not end its episode within 8 steps"):
        roll_out(env, lambda e: lambda _o: e.action_space.sample(), 0, max_steps=8)


@pytest.mark.parametrize(
    "kwargs",
    [
        {"action_dim": 1},
        {"action_dim": 14, "is_bounded": False},
        {"action_dim": 2, "images": {"front": [36, 52], "wrist": [25, 32]}, "has_vectors": False},
        {"action_dim": 1, "images": {"camera": [64, 64]}, "ends": False},
    ],
)
def test_robots_of_many_kinds_are_recorded_as_their_specs_say(kwargs: dict) -> None:
    world = make_world(**kwargs)
    script = world.demonstrator()
    for index, task in enumerate(world.tasks):
        episode = record(
            script.make_env(task), lambda e: script.begin(e, generator(0, "script", 0)),
            world.spec, seed=index, index=index, task=task, max_steps=world.max_steps,
        )  # fmt: skip
        assert episode.arrays().keys() == forms_of(world.spec).keys()
        assert episode.success
        assert episode.terminated == kwargs.get("ends", True)
