"""One loop for every policy and every environment, and the record of what came of it."""

from __future__ import annotations

import numpy as np
import pytest

from parrot_data.episodes.episode import episode_from
from parrot_data.episodes.rollout import episode_of, episode_seed, roll_out
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
