"""The tabletop as a world: what it tells a policy, a filter and a judge, and what it hides."""

from __future__ import annotations

import json

import numpy as np
import pytest
from small_tabletop import tabletop_params

from parrot_data.episodes.episode import forms_of
from parrot_data.episodes.rollout import roll_out
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import Names, names_in
from parrot_data.worlds.tabletop.containers import CONTAINERS
from parrot_data.worlds.tabletop.drawer import DRAWERS
from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.motion import TRANSLATION_M
from parrot_data.worlds.tabletop.objects import library
from parrot_data.worlds.tabletop.tasks import FAMILIES, TASKS
from parrot_data.worlds.tabletop.world import TabletopWorld

STILL = np.zeros(7, np.float32)


def stay(_observation: object) -> np.ndarray:
    return STILL


@pytest.mark.parametrize("proprioception", [False, True])
def test_episodes_are_as_the_spec_says(proprioception: bool) -> None:
    params = tabletop_params(24, proprioception, episode_steps=3)
    world = make_world(params)
    assert EpisodeSpec.model_validate_json(world.spec.model_dump_json()) == world.spec
    assert ("proprioception" in world.spec.privileged) != proprioception
    assert world.spec.tool_is_told == proprioception
    demonstrations = Demonstrations(world, dict.fromkeys([*FAMILIES, "pick-cup"], 1.0), 0)
    episode = demonstrations.episode(0)  # checked against the spec there
    demonstrations.close()
    assert episode.arrays().keys() == forms_of(world.spec).keys()
    assert episode.num_steps == 3 == world.max_steps


def test_names_that_params_tell_are_those_of_the_world() -> None:
    params = tabletop_params()
    world = TabletopWorld(params)
    tasks, demonstrated = tuple(world.tasks), tuple(world.demonstrator().tasks)
    assert names_in(params) == Names(tasks, demonstrated, tuple(world.families))
    assert (tasks, tuple(world.families)) == (tuple(TASKS), FAMILIES)


def test_unseen_scenes_and_training_scenes_share_nothing() -> None:
    world = TabletopWorld(tabletop_params(16, episode_steps=1))
    splits = {**{name: spec.split for name, spec in library().items()}}
    splits |= {name: spec.split for name, spec in {**CONTAINERS, **DRAWERS}.items()}
    for family in FAMILIES:
        for env, split in (
            (world.unseen(family), "test"),
            (world.training_scenes(family), "train"),
        ):
            for seed in range(10):
                _, info = env.reset(seed=seed)
                facts = info["facts"]
                named = [*facts["objects"], *filter(None, [facts["container"]])]
                assert {splits[name] for name in named} == {split}
                assert facts["family"] == family
                assert len(facts["objects"]) == 2 or split == "train"
            env.close()


@pytest.mark.parametrize("make", ["make_env", "unseen"])
def test_unknown_names_are_said_with_the_known_ones(make: str) -> None:
    with pytest.raises(UserError, match=r"called 'juggle'; choose one of pick"):
        getattr(TabletopWorld(tabletop_params()), make)("juggle")
    with pytest.raises(UserError, match=r"called 'juggle'; choose one of pick, .* pick-cup"):
        TabletopWorld(tabletop_params()).demonstrator().make_env("juggle")


def test_facts_are_json_and_privileged_arrays_follow_the_scene() -> None:
    env = TabletopWorld(tabletop_params(16, proprioception=False)).make_env("pick-cup")
    _, info = env.reset(seed=0)
    assert json.loads(json.dumps(info["facts"]))["objects"] == ["cup", "bottle"]
    for _ in range(3):
        told, scene = info["privileged"], env.unwrapped.scene
        np.testing.assert_allclose(told["target_position"], scene.object_position("cup"), atol=1e-6)
        np.testing.assert_allclose(
            told["object_positions"][1], scene.object_position("bottle"), atol=1e-6
        )
        assert not told["object_positions"][2].any()
        np.testing.assert_array_equal(told["proprioception"], env.unwrapped.proprioception())
        *_, info = env.step(np.full(7, 0.4, np.float32))
    env.close()


def move_over(env: TabletopEnv, name: str, height: float, gripper: float, steps: int = 4):
    for _ in range(steps):
        (x, y, z), (tool, _) = env.scene.object_position(name), env.scene.tool_pose()
        step = (np.array([x, y, max(z, 0.01) + height]) - tool) / TRANSLATION_M
        *_, info = env.step(np.array([*step.clip(-1, 1), 0, 0, 0, gripper], np.float32))
    return info


def test_failures_are_told_in_order_and_outcomes_stay_true() -> None:
    env = TabletopWorld(tabletop_params(16, episode_steps=200)).make_env("pick-cup")
    tabletop = env.unwrapped
    _, info = env.reset(seed=1)
    assert info["failure"] == "never_touched"
    assert info["outcomes"] == {"touched": False, "any_object": False, "wrong_object": False}
    for height, gripper in ((0.08, 1.0), (0.0, 1.0), (0.0, -1.0)):
        info = move_over(tabletop, "bottle", height, gripper, steps=6)
    assert info["grasped"] == "bottle"
    assert info["failure"] == "never_grasped"  # the target, that is
    assert info["outcomes"] == {"touched": True, "any_object": False, "wrong_object": True}
    for _ in range(6):
        *_, info = env.step(np.array([0, 0, 0.8, 0, 0, 0, -1], np.float32))
    assert info["outcomes"]["any_object"]
    assert not info["is_success"]
    for _ in range(8):
        *_, info = env.step(np.array([0, 0, 0, 0, 0, 0, 1], np.float32))
    assert info["outcomes"] == {"touched": True, "any_object": False, "wrong_object": True}
    for height, gripper in ((0.10, 1.0), (0.0, 1.0), (0.0, -1.0)):
        info = move_over(tabletop, "cup", height, gripper, steps=6)
    assert info["failure"] == "never_lifted"
    for _ in range(6):
        *_, info = env.step(np.array([0, 0, 0.8, 0, 0, 0, -1], np.float32))
    assert (info["is_success"], info["failure"]) == (True, "")
    for _ in range(8):
        *_, info = env.step(np.array([0, 0, 0, 0, 0, 0, 1], np.float32))
    assert info["failure"] == "dropped"
    _, info = env.reset(seed=1)
    assert info["failure"] == "never_touched"
    env.close()


def test_a_policy_that_stays_touches_nothing() -> None:
    world = TabletopWorld(tabletop_params(16, episode_steps=2))
    for family in FAMILIES:
        env = world.unseen(family)
        rollout = roll_out(env, lambda _env: stay, seed=0)
        assert not rollout.success
        assert rollout.infos[-1]["failure"] == "never_touched"
        assert not rollout.terminated
        env.close()
