"""A world: what can be simulated, whoever wrote the simulator.

Everything that acts (`generate`, `judge`, `finetune`, `evaluate`, `explore`) meets a simulator
through these interfaces alone. `rollout` says what an environment's info may hold.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import gymnasium
import numpy as np

from parrot_data.episodes.rollout import SelectAction
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError

Env = gymnasium.Env[Any, Any]


class Demonstrator(Protocol):
    """Scripted policies, and the scenes that they act in."""

    @property
    def tasks(self) -> Sequence[str]:
        """What it can demonstrate; `generate.tasks` gives each a weight."""

    def make_env(self, task: str) -> Env:
        """An environment whose every reset lays out a scene of the task.

        It is the world's in all else, and tells `info["privileged"]` where the spec names any.
        """

    def begin(self, env: Env, rng: np.random.Generator) -> SelectAction:
        """The scripted policy for an environment as it was just reset.

        Args:
            env: made by `make_env`, or by the world's own `make_env` or `unseen`.
            rng: source of all its chance: of variation and of noise.
        """


class World(Protocol):
    """What can be simulated."""

    @property
    def spec(self) -> EpisodeSpec:
        """What its observations and actions are."""

    @property
    def tasks(self) -> Sequence[str]:
        """Names of the tasks to learn by reinforcement; `parrot tasks` lists them."""

    @property
    def max_steps(self) -> int:
        """Actions after which an episode is truncated at the latest."""

    def make_env(self, task: str, render_mode: str | None = None) -> Env:
        """The environment of a task.

        Observations are a Dict as `spec` says, the action a Box; actions beyond its bounds are
        clipped. `info["is_success"]` says at every step whether the task is achieved. A reset with
        a seed determines the episode.

        Args:
            task: one of `tasks`.
            render_mode: "rgb_array" to film it, or None.

        Raises:
            UserError: no task has this name.
        """

    @property
    def families(self) -> Sequence[str]:
        """Kinds of scenes that no data show, for judging a prior by itself; none where unknown."""

    def unseen(self, family: str) -> Env:
        """An environment whose every reset lays out an unseen scene of a family.

        Raises:
            UserError: no family has this name.
        """

    def demonstrator(self) -> Demonstrator | None:
        """Its scripted policies; None where it has none."""


def known(name: str, names: Sequence[str], what: str) -> str:
    """A name, once it is certain that it is one of these.

    Args:
        name: as a user gave it.
        names: what there is.
        what: of what kind, such as "task".

    Raises:
        UserError: it is not.
    """
    if name not in names:
        choice = f"choose one of {', '.join(names)}" if names else "this world has none"
        raise UserError(f"no {what} is called {name!r}; {choice}")
    return name
