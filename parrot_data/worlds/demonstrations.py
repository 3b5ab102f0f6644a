"""Scripted episodes of any world, each a function of (world, tasks, seed, index) alone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import episode_seed, record
from parrot_data.errors import UserError
from parrot_data.streams import generator
from parrot_data.worlds.world import Env, World


class Demonstrations:
    """Makes episodes one by one; nothing is carried from one to the next.

    Args:
        world: it must have a demonstrator.
        tasks: weight of each task to demonstrate.
        seed: of the run.

    Raises:
        UserError: the world has no demonstrator, one that lacks a member, or none for a task.
    """

    def __init__(self, world: World, tasks: Mapping[str, float], seed: int) -> None:
        demonstrator = world.demonstrator()
        if demonstrator is None:
            raise UserError(
                "generate: this world demonstrates nothing, so there are no episodes to simulate; "
                "import recorded episodes instead, or give the world a demonstrator"
            )
        missing = [
            name for name in ("tasks", "make_env", "begin") if not hasattr(demonstrator, name)
        ]
        if missing:
            raise UserError(
                f"the world's demonstrator, a {type(demonstrator).__name__}, lacks "
                f"{', '.join(missing)}: give it every member of `Demonstrator` "
                "(parrot_data/worlds/world.py)"
            )
        unknown = sorted(set(tasks) - set(demonstrator.tasks))
        if unknown:
            raise UserError(
                f"generate.tasks: {unknown[0]!r} is none of the tasks that this world "
                f"demonstrates: {', '.join(demonstrator.tasks)}"
            )
        self._demonstrator, self._world, self._seed = demonstrator, world, seed
        self._tasks = sorted(tasks)
        weights = np.array([tasks[name] for name in self._tasks], dtype=np.float64)
        self._shares = weights / weights.sum()
        self._envs: dict[str, Env] = {}

    def episode(self, index: int) -> Episode:
        """Simulate an episode, and see that it is as the world's spec says.

        Raises:
            UserError: it is not, or its scene could not be laid out.
        """
        rng = generator(self._seed, "task", index)
        task = self._tasks[int(rng.choice(len(self._tasks), p=self._shares))]
        return record(
            self._env(task),
            lambda env: self._demonstrator.begin(env, generator(self._seed, "script", index)),
            self._world.spec,
            seed=episode_seed(self._seed, index),
            index=index,
            task=task,
            max_steps=self._world.max_steps,
        )

    def close(self) -> None:
        """Release what was simulated in."""
        for env in self._envs.values():
            env.close()
        self._envs = {}

    def _env(self, task: str) -> Env:
        if task not in self._envs:
            self._envs[task] = self._demonstrator.make_env(task)
        return self._envs[task]
