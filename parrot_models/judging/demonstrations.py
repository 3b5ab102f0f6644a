"""Scripted demonstrations acted out again, each in the very scene that it came from."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from parrot_data.episodes.episode import Episode
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import Collector
from parrot_models.judging.rollouts import NUM_OBJECTS, SelectAction, unseen_scenes

ACTION_NOISE = 0.1  # of the scripts, as in the data
MAX_TRIES = 10  # episodes simulated for one that succeeds


def successful_demonstrations(
    environment: EnvironmentParams, family: str, seed: int, count: int
) -> list[Episode]:
    """Scripted episodes that succeeded, in scenes of two unseen objects; fewer where most fail."""
    counts = [NUM_OBJECTS, NUM_OBJECTS]
    collector = Collector(environment, {family: 1.0}, counts, ACTION_NOISE, seed, "test")
    found: list[Episode] = []
    for index in range(MAX_TRIES * count):
        episode = collector.collect(index)
        found += [episode] * episode.success
        if len(found) == count:
            break
    collector.close()
    return found


def reproduced_rate(
    environment: EnvironmentParams,
    family: str,
    seed: int,
    count: int,
    act_out: Callable[[Episode], SelectAction],
) -> float | None:
    """Share of successful demonstrations that succeed again when they are acted out.

    Args:
        environment: the world.
        family: of the demonstrations.
        seed: of the scenes, and of the scripts in them.
        count: number of demonstrations.
        act_out: the policy that repeats a demonstration in its scene, as that was at its start.

    Returns:
        The share; None where no demonstration succeeded.
    """
    env = unseen_scenes(environment, family, NUM_OBJECTS)
    successes = []
    for demonstration in successful_demonstrations(environment, family, seed, count):
        policy = act_out(demonstration)
        observation, info = env.reset(seed=seed, options={"episode_index": demonstration.index})
        is_truncated = False
        while not is_truncated:
            observation, _, _, is_truncated, info = env.step(policy(observation))
        successes.append(bool(info["is_success"]))
    env.close()
    return float(np.mean(successes)) if successes else None
