"""Measure the ceiling of every task: how often the script, told the target, solves it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np

from parrot_data.episodes.rollout import episode_seed, roll_out
from parrot_data.progress import Progress
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.params import DemonstrationParams, TabletopParams
from parrot_data.worlds.tabletop.tasks import TASKS, Task
from parrot_data.worlds.tabletop.world import TabletopWorld
from parrot_data.worlds.world import Demonstrator, Env

SEED = 0
# No image is looked at, so a small one will do.
PARAMS = TabletopParams(
    name="tabletop",
    image_size=16,
    proprioception=False,
    episode_steps=25,
    demonstrations=DemonstrationParams(action_noise=0.0, num_objects=[2, 3]),
)


@dataclass(frozen=True)
class Ceiling:
    """What an agent can hope for in a task.

    Attributes:
        task: the task.
        success_rate: share of scenes that the script solved, told the target and without noise.
    """

    task: Task
    success_rate: float


def measure_tasks(num_episodes: int, workers: int, progress: Progress) -> list[Ceiling]:
    """Run the noise-free script on every task, in the same order as the table of tasks.

    Args:
        num_episodes: scenes a task.
        workers: processes to simulate in; the result does not depend on it.
        progress: called after each task.
    """
    ceilings = []
    measure = partial(task_success_rate, num_episodes=num_episodes)
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for task, rate in zip(TASKS.values(), pool.map(measure, TASKS), strict=True):
            ceilings.append(Ceiling(task, rate))
            progress(len(ceilings), len(TASKS), task.name)
    return ceilings


def task_success_rate(name: str, num_episodes: int) -> float:
    """Share of a task's scenes that the noise-free script solves, its style drawn as for data."""
    script = TabletopWorld(PARAMS).demonstrator()
    with closing(script.make_env(name)) as env:
        return success_rate(env, script, num_episodes)


def success_rate(env: Env, script: Demonstrator, num_episodes: int) -> float:
    """Share of an environment's first episodes that a script solves."""
    successes = []
    for index in range(num_episodes):
        begin = partial(script.begin, rng=generator(SEED, "measured script", index))
        rollout = roll_out(env, begin, episode_seed(SEED, index))
        successes.append(rollout.success)
    return float(np.mean(successes))
