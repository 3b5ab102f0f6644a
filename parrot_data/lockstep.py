"""Environments that take their steps together, for one learner of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import gymnasium
import numpy as np
from numpy.typing import NDArray

Env = gymnasium.Env[Any, Any]
Observations = dict[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step led to in each of N environments; one that took none shows what it last did.

    Attributes:
        observations: per key (N, ...).
        rewards: float64 (N,).
        terminated, truncated, is_success: bool (N,).
    """

    observations: Observations
    rewards: NDArray[np.float64]
    terminated: NDArray[np.bool_]
    truncated: NDArray[np.bool_]
    is_success: NDArray[np.bool_]


class Envs(Protocol):
    """N environments; between `start_step` and `finish_step` the caller has time of its own."""

    num_envs: int

    def reset(self, seed: int, indices: Sequence[int]) -> Observations:
        """Start episode indices[k] of a seed in environment k; observations, per key (N, ...)."""

    def start_step(self, actions: NDArray[np.float32], takes_part: NDArray[np.bool_]) -> None:
        """Let those that take part, bool (N,), begin a step with their row of actions (N, A)."""

    def finish_step(self) -> Outcome:
        """Wait for all of them."""


class OneEnv:
    """One environment, in this process: `start_step` takes the step."""

    num_envs = 1

    def __init__(self, env: Env) -> None:
        self._env = env
        self._outcome: Outcome

    def reset(self, seed: int, indices: Sequence[int]) -> Observations:
        """See `Envs`."""
        (index,) = indices
        observation, _ = self._env.reset(seed=seed, options={"episode_index": index})
        return _one_row(observation)

    def start_step(self, actions: NDArray[np.float32], takes_part: NDArray[np.bool_]) -> None:
        """See `Envs`."""
        assert takes_part.all()
        observation, reward, terminated, truncated, info = self._env.step(actions[0])
        self._outcome = Outcome(
            _one_row(observation),
            np.array([reward], np.float64),
            np.array([terminated]),
            np.array([truncated]),
            np.array([bool(info["is_success"])]),
        )

    def finish_step(self) -> Outcome:
        """See `Envs`."""
        return self._outcome


def _one_row(observation: Mapping[str, NDArray[Any]]) -> Observations:
    # Not value[None]: a row of stride 0 sends convolutions down another path, to other last bits.
    return {key: np.stack([value]) for key, value in observation.items()}
