"""The toy world with a diary: which episodes were simulated by whom, how long each takes, which
fails. It is told by the environment of the process, so that params stay the same.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import gymnasium

from parrot_data.episodes.rollout import episode_seed
from parrot_data.errors import UserError
from tests.toy_world import ToyDemonstrator, ToyWorld

LOG, DELAY_S, BROKEN_AT, ERROR = (f"NOTING_{word}" for word in ("LOG", "DELAY", "AT", "ERROR"))
NUM_EPISODES = 23
INDEX_OF = {episode_seed(seed, i): i for seed in (0, 1) for i in range(NUM_EPISODES)}


class Noting(gymnasium.Wrapper):
    """Notes the index of every episode that is begun."""

    def reset(self, *, seed: int | None = None, options: Any = None):
        assert seed is not None
        index = INDEX_OF[seed]
        if folder := os.environ.get(LOG):
            with (Path(folder) / str(os.getpid())).open("a") as file:
                file.write(f"{index}\n")
        if str(index) == os.environ.get(BROKEN_AT):
            fail(os.environ.get(ERROR, "user"))
        time.sleep(float(os.environ.get(DELAY_S, "0")))
        return self.env.reset(seed=seed, options=options)


def fail(kind: str) -> None:
    if kind == "user":
        raise UserError("The scene is too crowded.")
    if kind == "defect":
        raise ZeroDivisionError("the world is flat")
    os._exit(7)


class NotingDemonstrator(ToyDemonstrator):
    def __init__(self, world: ToyWorld) -> None:
        self.make_env = lambda task: Noting(world.make_env(task))


class NotingWorld(ToyWorld):
    def demonstrator(self) -> NotingDemonstrator:
        return NotingDemonstrator(self)
