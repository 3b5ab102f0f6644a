"""Measure the ceiling of every task: how often the script, told the target, solves it."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.rollout import SelectAction, collect_episode
from parrot_data.progress import Progress
from parrot_data.worlds.tabletop.env import Observation, TabletopEnv, make_task_env
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import make_scripted_policy, script_generator
from parrot_data.worlds.tabletop.tasks import TASKS, Task

SEED = 0
# No picture is looked at, so a small one will do.
PARAMS = EnvironmentParams(image_size=16, proprioception=False, episode_steps=25)


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
        progress: told of each task.
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
    with closing(make_task_env(name, PARAMS, render_mode=None)) as env:
        return success_rate(env, num_episodes)


def success_rate(env: TabletopEnv, num_episodes: int) -> float:
    """Share of an environment's first episodes that the noise-free script solves."""
    successes = []
    for index in range(num_episodes):
        episode = collect_episode(env, _script, SEED, index, script_generator(SEED, index))
        successes.append(episode.success)
    return float(np.mean(successes))


def _script(env: TabletopEnv, rng: np.random.Generator) -> SelectAction:
    policy = make_scripted_policy(env, rng)

    def select_action(_observation: Observation) -> NDArray[np.float32]:
        return policy.action().astype(np.float32)

    return select_action
