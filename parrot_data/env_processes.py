"""Environments in lockstep, each in a process of its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any, Self

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot_data.lockstep import Env, Observations, Outcome
from parrot_data.workers import Processes, receive, report, send, start_process, terminate


class EnvProcesses:
    """Environments in processes, that read actions from and write outcomes to shared memory.

    The memory is a file that is deleted before it is used: nothing is left of it, however this
    process ends. Of what an environment does nothing depends on when it does it.

    Args:
        make_env: makes each of them, in its process; picklable.
        num_envs: N.
        observation_space, action_dim: those of the environments.

    Raises:
        UserError: in any method, where an environment raised it or its process was killed.
    """

    def __init__(
        self,
        make_env: Callable[[], Env],
        num_envs: int,
        observation_space: gymnasium.spaces.Dict,
        action_dim: int,
    ) -> None:
        self.num_envs = num_envs
        self._keys = list(observation_space.spaces)
        kinds: dict[str, tuple[Any, Any]] = {
            f"observation.{k}": (s.dtype, s.shape) for k, s in observation_space.items()
        }
        kinds |= {"actions": (np.float32, (action_dim,)), "rewards": (np.float64, ())}
        kinds |= dict.fromkeys(("terminated", "truncated", "is_success"), (np.bool_, ()))
        self._memory = _Memory(num_envs, kinds)
        self._arrays = self._memory.arrays()
        self._crew: Processes = {}
        self._busy: list[Connection] = []
        try:
            for index in range(num_envs):
                start_process(self._crew, _live_in, make_env, self._memory, index)
        except BaseException:
            self.close()
            raise

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
        """End all processes."""
        terminate(self._crew)

    def reset(self, seed: int, indices: Sequence[int]) -> Observations:
        """See `Envs`."""
        for pipe, index in zip(self._crew, indices, strict=True):
            self._tell(pipe, (seed, index))
        return self.finish_step().observations

    def start_step(self, actions: NDArray[np.float32], takes_part: NDArray[np.bool_]) -> None:
        """See `Envs`."""
        self._arrays["actions"][:] = actions
        for pipe, has_work in zip(self._crew, takes_part, strict=True):
            if has_work:
                self._tell(pipe, None)

    def finish_step(self) -> Outcome:
        """See `Envs`."""
        for pipe in self._busy:
            receive(pipe, self._crew)
        self._busy.clear()
        # Copies: the next step overwrites the memory.
        now = {name: array.copy() for name, array in self._arrays.items()}
        return Outcome(
            {key: now[f"observation.{key}"] for key in self._keys},
            now["rewards"],
            now["terminated"],
            now["truncated"],
            now["is_success"],
        )

    def _tell(self, pipe: Connection, message: tuple[int, int] | None) -> None:
        send(pipe, self._crew, message)
        self._busy.append(pipe)


class _Memory:
    """Named arrays (N, ...) that processes share; picklable for a process that is being started."""

    def __init__(self, num_rows: int, kinds: Mapping[str, tuple[Any, Any]]) -> None:
        self._shapes = {
            name: (np.dtype(dtype), (num_rows, *shape)) for name, (dtype, shape) in kinds.items()
        }
        self._blocks = {
            name: get_context("spawn").RawArray("b", dtype.itemsize * int(np.prod(shape)))
            for name, (dtype, shape) in self._shapes.items()
        }

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays, as this process sees them."""
        return {
            name: np.frombuffer(self._blocks[name], dtype).reshape(shape)
            for name, (dtype, shape) in self._shapes.items()
        }


def _live_in(pipe: Connection, make_env: Callable[[], Env], memory: _Memory, row: int) -> None:
    """A process's life: resets for (seed, episode index), steps for None, until the pipe closes."""
    mine = {name: array[row : row + 1] for name, array in memory.arrays().items()}
    with closing(make_env()) as env:
        while True:
            message = pipe.recv()
            if message is None:
                action = mine["actions"][0].copy()
                observation, reward, terminated, truncated, info = env.step(action)
                mine["rewards"][:] = reward
                mine["terminated"][:], mine["truncated"][:] = terminated, truncated
                mine["is_success"][:] = info["is_success"]
            else:
                seed, index = message
                observation, _ = env.reset(seed=seed, options={"episode_index": index})
            for key, value in observation.items():
                mine[f"observation.{key}"][0] = value
            report(pipe, "done")
