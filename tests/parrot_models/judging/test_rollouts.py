"""Rollouts are counted as they went, and demonstrations repeated in their own scenes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from pydantic import TypeAdapter

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import SelectAction
from parrot_data.errors import UserError
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_models.judging.policies import scripted, uniform
from parrot_models.judging.rollouts import families_of, mean_over, rates, rates_of, reproduction
from tests.toy_world import ToyWorld

TABLETOP = {
    "name": "tabletop",
    "image_size": 48,
    "proprioception": True,
    "episode_steps": 25,
    "demonstrations": {"action_noise": 0.1, "num_objects": [2, 3]},
}
WORLDS: dict[str, Any] = {
    "toy": ToyWorld,
    "tabletop": lambda: make_world(TypeAdapter(EnvironmentParams).validate_python(TABLETOP)),
}


def replayed(demonstration: Episode) -> SelectAction:
    """What a model would do that encodes actions as themselves."""
    steps = iter(demonstration.actions)
    return lambda _observation: next(steps)


@pytest.mark.parametrize("name", WORLDS)
def test_a_demonstration_repeated_as_it_was_succeeds_again(name: str) -> None:
    """The scene is the demonstration's own: a law without which a share would mean nothing."""
    world = WORLDS[name]()
    env = world.unseen(world.families[0])
    found = reproduction(world, env, world.demonstrator(), 7, 2, replayed, "again_rate")
    env.close()
    assert found["again_rate"] == 1.0
    assert found["num_demonstrations"] == 2
    assert 0.1 <= found["demonstration_success_rate"] <= 1.0


def test_where_no_demonstration_succeeds_there_is_nothing_to_repeat() -> None:
    world = ToyWorld(max_steps=1)
    found = reproduction(
        world, world.unseen("far"), world.demonstrator(), 7, 2, replayed, "again_rate"
    )
    assert found == {"num_demonstrations": 0.0, "demonstration_success_rate": 0.0}


def test_scripts_succeed_where_chance_hardly_does() -> None:
    world = ToyWorld(max_steps=8)
    env = world.unseen("near")
    by_script = rates(world, env, scripted(world.demonstrator()), 0, 5)
    by_chance = rates(world, env, uniform((np.full(2, -1.0), np.full(2, 1.0))), 0, 5)
    assert by_script.keys() == by_chance.keys() == {"success_rate", "near_rate"}
    assert by_script["success_rate"] == 1.0
    assert by_chance["success_rate"] < 1.0


def test_rollouts_are_a_function_of_their_seed() -> None:
    world, policy = ToyWorld(), uniform((np.full(2, -1.0), np.full(2, 1.0)))
    env = world.unseen("near")
    assert rates(world, env, policy, 3, 6) == rates(world, env, policy, 3, 6)


def test_a_policy_that_went_astray_is_told_so() -> None:
    world = ToyWorld()

    def astray(_env: Any, _rng: Any) -> SelectAction:
        return lambda _observation: np.array([0.0, np.nan], np.float32)

    with pytest.raises(UserError, match="actions are not all finite"):
        rates(world, world.unseen("near"), astray, 0, 1)


def test_an_environment_that_is_not_as_its_world_says_is_named() -> None:
    world, other = ToyWorld(), ToyWorld(action_dim=3)
    policy = uniform((np.full(2, -1.0), np.full(2, 1.0)))
    with pytest.raises(UserError, match=r"the observation position is float32 \(3,\)"):
        rates(world, other.unseen("near"), policy, 0, 1)
    endless = world.unseen("near").env
    endless.unwrapped._ends = False
    with pytest.raises(UserError, match="did not end its episode within 30 steps"):
        rates(world, endless, policy, 0, 1)


def test_what_did_not_happen_in_some_episodes_did_not_happen_there() -> None:
    episodes = [{"success": True, "near": True}, {"success": False}]
    assert rates_of(episodes) == {"success_rate": 0.5, "near_rate": 0.5}


def test_means_are_of_what_all_families_tell() -> None:
    found = mean_over({"a": {"x_rate": 0.0, "y_rate": 1.0}, "b": {"x_rate": 1.0}})
    assert found["x_rate"] == 0.5
    assert "y_rate" not in found
    assert found["families"]["a"]["y_rate"] == 1.0


def test_families_are_those_wanted_or_all() -> None:
    assert families_of(ToyWorld(), [], "judge") == ["near", "far"]
    assert families_of(ToyWorld(), ["far"], "judge") == ["far"]
    with pytest.raises(UserError, match="'pick' is none of the world's families"):
        families_of(ToyWorld(), ["pick"], "judge")
