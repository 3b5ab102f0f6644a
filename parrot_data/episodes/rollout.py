"""Living an episode: an environment and a policy make a record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.worlds.tabletop.env import Observation, TabletopEnv
from parrot_data.worlds.tabletop.success import is_over_container

# Gives the action (7,) to execute, from the observation.
SelectAction = Callable[[Observation], NDArray[np.float32]]
# Called once the episode is laid out, so that a scripted policy can look at its scene.
MakePolicy = Callable[[TabletopEnv, np.random.Generator], SelectAction]


def collect_episode(
    env: TabletopEnv, make_policy: MakePolicy, seed: int, index: int, rng: np.random.Generator
) -> Episode:
    """Live episode `index` under `seed` from reset to truncation.

    Args:
        env: any of the tabletop environments.
        make_policy: makes the episode's policy from the environment as reset and from `rng`.
        seed: seed of the run.
        index: place of the episode in the run.
        rng: the policy's source of chance, itself a function of seed and index.

    Returns:
        The record, with the reason of a failure.
    """
    observation, _ = env.reset(seed=seed, options={"episode_index": index})
    select_action = make_policy(env, rng)
    images, proprioception = [observation["image"]], [env.proprioception()]
    positions, actions, infos = [env.object_positions()], [], []
    truncated = False
    while not truncated:
        actions.append(select_action(observation))
        observation, _, _, truncated, info = env.step(actions[-1])
        images.append(observation["image"])
        proprioception.append(env.proprioception())
        positions.append(env.object_positions())
        infos.append(info)
    return Episode(
        index=index,
        task=env.task.family,
        objects=env.task.objects,
        container=env.task.container,
        success=bool(infos[-1]["is_success"]),
        failure=_failure(env, infos),
        images=np.stack(images),
        proprioception=np.stack(proprioception),
        actions=np.stack(actions),
        rewards=np.array([info["is_success"] for info in infos], dtype=np.float32),
        object_positions=np.stack(positions),
    )


def _failure(env: TabletopEnv, infos: list[dict[str, Any]]) -> str:
    """The first thing that went wrong, in the words of the filter report; "" for a success."""
    target = env.task.target
    if infos[-1]["is_success"]:
        return ""
    for missing, reason in (
        (not any(info["touched"] for info in infos), "never_touched"),
        (not any(info["grasped"] == target for info in infos), "never_grasped"),
        (env.task.family == "drawer", _drawer_failure(infos)),
        (not any(info["lifted"] == target for info in infos), "never_lifted"),
        (env.task.family == "pick", "dropped"),
        (infos[-1]["grasped"] == target, "not_released"),
        (not is_over_container(env.scene, target, env.task, env.layout), "missed_container"),
    ):
        if missing:
            return reason
    return "not_at_rest"


def _drawer_failure(infos: list[dict[str, Any]]) -> str:
    """What went wrong with a drawer whose knob was held."""
    return "pushed_shut" if any(info["is_success"] for info in infos) else "not_pulled_open"
