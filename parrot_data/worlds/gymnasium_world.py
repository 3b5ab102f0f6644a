"""The world of environments that are registered with gymnasium, whoever wrote them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.described import DescribedEnv, box_of, spec_of
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError, cause
from parrot_data.worlds.params import GymnasiumParams, SuccessInInfo
from parrot_data.worlds.world import Demonstrator, Env, known

__all__ = ["GymnasiumWorld", "box_of", "spec_of"]


class GymnasiumWorld:
    """Registered environments as a `World`; it demonstrates nothing.

    Args:
        params: section `environment`.

    Raises:
        UserError: gymnasium cannot make a task, its spaces are of no kind that a spec can say, or
            two tasks differ in them.
    """

    families: Sequence[str] = ()

    def __init__(self, params: GymnasiumParams) -> None:
        self._params = params
        self.tasks: Sequence[str] = tuple(params.tasks)
        specs: dict[str, EpisodeSpec] = {}
        limits = []
        for task in self.tasks:
            env = self._make(task, None)
            with closing(env):
                specs[task] = spec_of(env, task)
                limits.append(self._limit_of(env, task))
        first, *others = self.tasks
        for task in others:
            if specs[task] != specs[first]:
                raise UserError(
                    f"environment.tasks: {first} and {task} have other observations or actions: "
                    "name tasks that share both"
                )
        self.spec, self.max_steps = specs[first], max(limits)

    def make_env(self, task: str, render_mode: str | None = None) -> Env:
        """See `World`."""
        env = self._make(known(task, self.tasks, "task"), render_mode)
        return _Told(env, task, self.spec, self._params)

    def unseen(self, family: str) -> Env:
        """See `World`; there is no such family."""
        raise UserError(f"no family is called {family!r}; the world gymnasium has none")

    def demonstrator(self) -> Demonstrator | None:
        """See `World`."""
        return None

    def _make(self, task: str, render_mode: str | None) -> Env:
        named = self._params.tasks[task]
        # Some take a mode for granted, and fail where they are told None
        rendering = {} if render_mode is None else {"render_mode": render_mode}
        try:
            env: Env = gymnasium.make(
                named.id,
                max_episode_steps=self._params.max_steps,
                disable_env_checker=True,
                **{**named.kwargs, **rendering},
            )
        except UserError:
            raise
        except Exception as error:
            raise UserError(
                f"environment.tasks.{task}: gymnasium cannot make {named.id} ({cause(error)}): "
                "correct its id and kwargs, or install its package"
            ) from error
        return env

    def _limit_of(self, env: Env, task: str) -> int:
        limit = None if env.spec is None else env.spec.max_episode_steps
        if limit is None:
            raise UserError(
                f"environment.max_steps: {task} is registered without a limit of steps: say one"
            )
        return limit


class _Told(DescribedEnv):
    """An environment as a world's has to be: `is_success` in info, and nothing privileged.

    Of what is privileged the spec knows nothing.
    """

    def __init__(self, env: Env, task: str, spec: EpisodeSpec, params: GymnasiumParams) -> None:
        super().__init__(env, spec, f"environment.tasks.{task}")
        self._success = params.success

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        observation, info = super().reset(seed=seed, options=options)
        return observation, _told(info, is_success=False)

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        observation, reward, terminated, truncated, info = super().step(action)
        told = _told(info, is_success=self._is_success(reward, info))
        return observation, reward, terminated, truncated, told

    def _is_success(self, reward: float, info: dict[str, Any]) -> bool:
        if not isinstance(self._success, SuccessInInfo):
            return reward >= self._success.reward_at_least
        if self._success.info not in info:
            raise UserError(
                f"environment.success: the info of a step has no {self._success.info!r}, only "
                f"{', '.join(sorted(map(str, info))) or 'nothing'}: name one of these, or a reward"
            )
        return bool(info[self._success.info])


def _told(info: Mapping[str, Any], *, is_success: bool) -> dict[str, Any]:
    told = {key: value for key, value in info.items() if key != "privileged"}
    return {**told, "is_success": is_success}
