"""The one loop that rolls a policy out in an environment, and the record of what came of it.

What an environment may tell beside gymnasium's own: `info["is_success"]` (every step: whether the
task is achieved now), `info["failure"]` (why not, read at the end), `info["facts"]` (of the reset:
JSON values about the scene) and `info["privileged"]` (arrays that no policy may see, at reset and
at every step). Only the first is needed, and only where success is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.streams import seed_sequence

Observation = Mapping[str, NDArray[Any]]
# Gives the action (A,) to execute, from the observation.
SelectAction = Callable[[Observation], NDArray[np.float32]]
# Makes an episode's policy once the environment is reset, so that a script can look at the scene.
BeginPolicy = Callable[[gymnasium.Env[Any, Any]], SelectAction]
OnStep = Callable[[gymnasium.Env[Any, Any]], None]


@dataclass(frozen=True, eq=False)
class Rollout:
    """What happened from a reset to the end of an episode of T steps.

    Attributes:
        observations: T + 1.
        actions: T, as the policy gave them.
        rewards: T.
        infos: T + 1, the reset's first.
        terminated: whether the environment ended it, rather than a limit of steps.
    """

    observations: Sequence[Observation]
    actions: Sequence[NDArray[np.float32]]
    rewards: Sequence[float]
    infos: Sequence[dict[str, Any]]
    terminated: bool

    @property
    def success(self) -> bool:
        """Whether the task was achieved after the last step.

        Raises:
            UserError: the environment does not say.
        """
        return success_of(self.infos[-1])

    @property
    def episode_return(self) -> float:
        """Undiscounted sum of the rewards."""
        return float(sum(self.rewards))


def success_of(info: Mapping[str, Any]) -> bool:
    """Whether the task is achieved now, as an environment tells in a step's info.

    Raises:
        UserError: it does not.
    """
    if "is_success" not in info:
        raise UserError(
            "the environment does not say whether a task is achieved: let its info hold "
            '"is_success", or say in params how success is found'
        )
    return bool(info["is_success"])


def episode_seed(seed: int, index: int) -> int:
    """The seed that an environment is reset with for episode `index` of a seed: 32 bits.

    No more bits, because some simulators take no more: of n episodes of a seed, n^2 / 2^33 pairs
    are of the same scene (one in three runs of 50,000).
    """
    return int(seed_sequence(seed, "scene", index).generate_state(1)[0])


def roll_out(
    env: gymnasium.Env[Any, Any],
    begin: BeginPolicy,
    seed: int,
    on_step: OnStep | None = None,
) -> Rollout:
    """Reset an environment and act in it until the episode terminates or is truncated.

    Args:
        env: any; it must end its episodes (`TimeLimit`).
        begin: makes the policy once the environment is reset.
        seed: that the environment is reset with, see `episode_seed`.
        on_step: called after the reset and after every step, to render, say.
    """
    observation, info = env.reset(seed=seed)
    select_action = begin(env)
    observations, infos = [observation], [info]
    actions: list[NDArray[np.float32]] = []
    rewards: list[float] = []
    terminated = truncated = False
    while not (terminated or truncated):
        if on_step is not None:
            on_step(env)
        action = select_action(observation)
        observation, reward, terminated, truncated, info = env.step(action)
        observations.append(observation)
        actions.append(action)
        rewards.append(float(reward))
        infos.append(info)
    if on_step is not None:
        on_step(env)
    return Rollout(observations, actions, rewards, infos, bool(terminated))


def episode_of(rollout: Rollout, index: int, task: str) -> Episode:
    """The record of a rollout as episode `index` of its run.

    Raises:
        UserError: the environment does not say whether the task was achieved.
    """
    first, last = rollout.infos[0], rollout.infos[-1]
    privileged = [info.get("privileged", {}) for info in rollout.infos]
    return Episode(
        index=index,
        task=task,
        success=rollout.success,
        failure="" if rollout.success else str(last.get("failure", "")),
        terminated=rollout.terminated,
        facts=first.get("facts", {}),
        observations=_stacked(rollout.observations),
        actions=np.stack(rollout.actions).astype(np.float32),
        rewards=np.array(rollout.rewards, dtype=np.float32),
        privileged=_stacked(privileged),
    )


def _stacked(steps: Sequence[Mapping[str, Any]]) -> dict[str, NDArray[Any]]:
    return {name: np.stack([step[name] for step in steps]) for name in steps[0]}
