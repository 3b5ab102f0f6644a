"""Environments that take their steps together: one in this process, or several in their own.

The several are gymnasium's `AsyncVectorEnv`. What it leaves open is added here: an environment
whose episode is over waits for the others, processes end with their parent and answer no signal,
and an error in one of them is an error here.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self

import gymnasium
import numpy as np
from gymnasium.spaces import Dict, Space
from gymnasium.vector import AsyncVectorEnv, AutoresetMode
from gymnasium.vector.async_vector_env import _async_worker
from numpy.typing import NDArray

from parrot_data.episodes.rollout import success_of
from parrot_data.errors import UserError
from parrot_data.workers import end_with_parent, signals_blocked_in_children

Env = gymnasium.Env[Any, Any]
Observations = dict[str, NDArray[Any]]
ERROR = "error"  # in the info of a step that failed: the kind of the error, and its text


@dataclass(frozen=True, eq=False)
class Outcome:
    """What a step led to in each of N environments; one whose episode is over shows its last step.

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

    def reset(self, seeds: Sequence[int], /) -> Observations:
        """Start an episode in each, of its seed; observations, per key (N, ...)."""

    def start_step(self, actions: NDArray[np.float32], /) -> None:
        """Begin a step with each one's row of actions (N, A); one that is over does nothing."""

    def finish_step(self) -> Outcome:
        """Wait for all of them."""


class OneEnv:
    """One environment, in this process: `start_step` takes the step."""

    num_envs = 1

    def __init__(self, env: Env) -> None:
        self._env = env
        self._outcome: Outcome

    def reset(self, seeds: Sequence[int]) -> Observations:
        """See `Envs`."""
        (seed,) = seeds
        observation, _ = self._env.reset(seed=seed)
        return _one_row(observation)

    def start_step(self, actions: NDArray[np.float32]) -> None:
        """See `Envs`."""
        observation, reward, terminated, truncated, info = self._env.step(actions[0])
        self._outcome = Outcome(
            _one_row(observation),
            np.array([reward], np.float64),
            np.array([terminated]),
            np.array([truncated]),
            np.array([success_of(info)]),
        )

    def finish_step(self) -> Outcome:
        """See `Envs`."""
        return self._outcome


class EnvProcesses:
    """Several environments, each in a process of its own.

    Args:
        make_env: makes each of them, in its process; picklable.
        num_envs: N.
        observation_space, action_space: those of the environments.

    Raises:
        UserError: in any method, where an environment raised it or its process was killed.
        RuntimeError: where an environment raised anything else; it holds the traceback.
    """

    def __init__(
        self,
        make_env: Callable[[], Env],
        num_envs: int,
        observation_space: Dict,
        action_space: Space[Any],
    ) -> None:
        self.num_envs = num_envs

        def in_process() -> Env:
            return _InProcess(make_env, observation_space, action_space)

        with signals_blocked_in_children():
            self._envs = AsyncVectorEnv(
                [in_process] * num_envs,
                copy=False,
                context="spawn",
                worker=_work,
                autoreset_mode=AutoresetMode.DISABLED,
            )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, whatever they are doing."""
        for process in self._envs.processes:
            process.kill()  # `AsyncVectorEnv.close` would wait for a step, or send a blocked signal
        for process, pipe in zip(self._envs.processes, self._envs.parent_pipes, strict=True):
            process.join()
            pipe.close()
        self._envs.closed = True

    def reset(self, seeds: Sequence[int]) -> Observations:
        """See `Envs`."""
        observations, infos = self._alive(lambda: self._envs.reset(seed=list(seeds)))
        _raise_error_in(infos)
        return _copied(observations)

    def start_step(self, actions: NDArray[np.float32]) -> None:
        """See `Envs`."""
        self._alive(lambda: self._envs.step_async(actions))

    def finish_step(self) -> Outcome:
        """See `Envs`."""
        observations, rewards, terminated, truncated, infos = self._alive(self._envs.step_wait)
        _raise_error_in(infos)
        is_success = infos["is_success"]
        return Outcome(_copied(observations), rewards, terminated, truncated, is_success)

    def _alive(self, call: Callable[[], Any]) -> Any:
        try:
            return call()
        except (EOFError, OSError):
            for process in self._envs.processes:
                process.join(1.0)
            codes = [p.exitcode for p in self._envs.processes if p.exitcode is not None]
            raise UserError(
                f"the process of an environment died (exit code {codes[0] if codes else '?'}; -9 "
                "often means that memory ran out): run the same command again to resume, perhaps "
                "with a smaller finetune.num_envs"
            ) from None


class _InProcess(gymnasium.Env[Observations, NDArray[np.float32]]):
    """An environment as its process runs it: made at the first reset, still once it is over."""

    def __init__(
        self, make_env: Callable[[], Env], observation_space: Dict, action_space: Space[Any]
    ) -> None:
        self.observation_space, self.action_space = observation_space, action_space  # type: ignore[assignment]
        self._make_env = make_env
        self._env: Env | None = None
        zeros = {k: np.zeros(s.shape or (), s.dtype) for k, s in observation_space.items()}
        self._last: Any = (zeros, 0.0, False, False, {})

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observations, dict[str, Any]]:
        self._last = (self._last[0], 0.0, False, False, {})
        try:
            if self._env is None:
                self._env = self._make_env()
            observation, _ = self._env.reset(seed=seed, options=options)
        except Exception as error:  # noqa: BLE001 - it is raised again where it was asked for
            return self._last[0], _told(error)
        self._last = (observation, *self._last[1:])
        return observation, {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[Observations, float, bool, bool, dict[str, Any]]:
        observation, _, terminated, truncated, info = self._last
        if terminated or truncated:
            return observation, 0.0, terminated, truncated, info
        try:
            assert self._env is not None
            observation, reward, terminated, truncated, info = self._env.step(action)
            # Nothing else: the rest of an info would be sent for nothing
            told = {"is_success": success_of(info)}
        except Exception as error:  # noqa: BLE001 - it is raised again where it was asked for
            return observation, 0.0, True, True, _told(error)
        self._last = (observation, float(reward), bool(terminated), bool(truncated), told)
        step: tuple[Observations, float, bool, bool, dict[str, Any]] = self._last
        return step


def _work(*arguments: Any) -> None:
    """The worker of `AsyncVectorEnv`, quiet where its parent is gone."""
    end_with_parent()
    try:
        _async_worker(*arguments)
    except (EOFError, OSError):
        return


def _told(error: Exception) -> dict[str, Any]:
    if isinstance(error, UserError):
        return {ERROR: ("user", str(error))}
    return {ERROR: ("defect", traceback.format_exc())}


def _raise_error_in(infos: Mapping[str, Any]) -> None:
    for kind, text in (error for error in infos.get(ERROR, ()) if error is not None):
        if kind == "user":
            raise UserError(text)
        raise RuntimeError(f"an environment failed:\n{text}")


def _copied(observations: Mapping[str, NDArray[Any]]) -> Observations:
    """Copies: the next step overwrites the memory that is shared."""
    return {key: values.copy() for key, values in observations.items()}


def _one_row(observation: Mapping[str, NDArray[Any]]) -> Observations:
    # Not value[None]: a row of stride 0 sends convolutions down another path, to other last bits.
    return {key: np.stack([value]) for key, value in observation.items()}
