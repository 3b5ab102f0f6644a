"""The world of environments that are registered with gymnasium, whoever wrote them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from parrot_data.episodes.spec import (
    ActionSpec,
    EpisodeSpec,
    ImageSpec,
    ObservationSpec,
    VectorSpec,
)
from parrot_data.errors import UserError
from parrot_data.worlds.params import GymnasiumParams, SuccessInInfo
from parrot_data.worlds.world import Demonstrator, Env, known

SINGLE_VECTOR, SINGLE_IMAGE = "state", "image"  # names of an observation that has none


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
            specs[task] = spec_of(env, task)
            limits.append(self._limit_of(env, task))
            env.close()
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
        if self._params.max_steps is not None:
            env = gymnasium.wrappers.TimeLimit(env, self._params.max_steps)
        return _Described(env, self.spec, self._params)

    def unseen(self, family: str) -> Env:
        """See `World`; there is no such family."""
        raise UserError(f"no family is called {family!r}; the world gymnasium has none")

    def demonstrator(self) -> Demonstrator | None:
        """See `World`."""
        return None

    def _make(self, task: str, render_mode: str | None) -> Env:
        named = self._params.tasks[task]
        try:
            env: Env = gymnasium.make(
                named.id, render_mode=render_mode, disable_env_checker=True, **named.kwargs
            )
        except (gymnasium.error.Error, ImportError, TypeError) as error:
            raise UserError(
                f"environment.tasks.{task}: gymnasium cannot make {named.id} "
                f"({str(error).splitlines()[0]}): correct its id and kwargs, or install its package"
            ) from error
        return env

    def _limit_of(self, env: Env, task: str) -> int:
        registered = None if env.spec is None else env.spec.max_episode_steps
        limit = self._params.max_steps or registered
        if limit is None:
            raise UserError(
                f"environment.max_steps: {task} is registered without a limit of steps: say one"
            )
        return min(limit, registered or limit)


def spec_of(env: Env, task: str) -> EpisodeSpec:
    """What an environment's spaces say of its episodes.

    Raises:
        UserError: a space is of no kind that a spec can say.
    """
    plain = env.observation_space
    boxes = plain.spaces if isinstance(plain, spaces.Dict) else {_single_name(plain): plain}
    actions = env.action_space
    if not isinstance(actions, spaces.Box) or len(actions.shape) != 1:
        raise UserError(
            f"environment.tasks.{task}: the action is {actions}, where a vector of numbers (Box) "
            "is needed: choose another environment, or wrap this one"
        )
    is_bounded = bool(np.isfinite(actions.low).all() and np.isfinite(actions.high).all())
    return EpisodeSpec(
        observations={name: _observation_spec(name, box, task) for name, box in boxes.items()},
        action=ActionSpec(
            dim=actions.shape[0],
            low=actions.low.astype(float).tolist() if is_bounded else None,
            high=actions.high.astype(float).tolist() if is_bounded else None,
        ),
        control_rate_hz=None,
        cameras={},
        tool=None,
        mirror=None,
        privileged={},
    )


def _single_name(space: spaces.Space[Any]) -> str:
    return SINGLE_IMAGE if _is_image(space) else SINGLE_VECTOR


def _is_image(space: spaces.Space[Any]) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[-1] == 3
    )


def _observation_spec(name: str, space: spaces.Space[Any], task: str) -> ObservationSpec:
    if isinstance(space, spaces.Box):
        if _is_image(space):
            return ImageSpec(height=space.shape[0], width=space.shape[1])
        if len(space.shape) == 1 and space.shape[0] > 0:
            return VectorSpec(dim=space.shape[0])
    raise UserError(
        f"environment.tasks.{task}: the observation {name} is {space}, neither an RGB image "
        "(uint8, height x width x 3) nor a vector: choose another environment, or wrap this one"
    )


class _Described(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose observations, actions and success are as a world's have to be.

    Vectors become float32, actions take the environment's own dtype and are clipped to its bounds,
    and info holds `is_success`.
    """

    def __init__(self, env: Env, spec: EpisodeSpec, params: GymnasiumParams) -> None:
        super().__init__(env)
        self._spec, self._success = spec, params.success
        self._is_dict = isinstance(env.observation_space, spaces.Dict)
        self.observation_space = spaces.Dict({k: box_of(s) for k, s in spec.observations.items()})
        action = spec.action
        low = -np.inf if action.low is None else np.array(action.low, np.float32)
        high = np.inf if action.high is None else np.array(action.high, np.float32)
        self.action_space = spaces.Box(low, high, (action.dim,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self._named(observation), {**info, "is_success": False}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        inner = self.env.action_space
        assert isinstance(inner, spaces.Box)
        own = np.clip(np.asarray(action, np.float64), inner.low, inner.high).astype(inner.dtype)
        observation, reward, terminated, truncated, info = self.env.step(own)
        info = {**info, "is_success": self._is_success(float(reward), info)}
        return self._named(observation), float(reward), bool(terminated), bool(truncated), info

    def _named(self, observation: Any) -> dict[str, NDArray[Any]]:
        values = (
            observation if self._is_dict else {next(iter(self._spec.observations)): observation}
        )
        return {
            name: np.asarray(values[name], dtype=each.dtype)
            for name, each in self._spec.observations.items()
        }

    def _is_success(self, reward: float, info: dict[str, Any]) -> bool:
        if not isinstance(self._success, SuccessInInfo):
            return reward >= self._success.reward_at_least
        if self._success.info not in info:
            raise UserError(
                f"environment.success: the info of a step has no {self._success.info!r}, only "
                f"{', '.join(sorted(info)) or 'nothing'}: name one of these, or a reward"
            )
        return bool(info[self._success.info])


def box_of(spec: ObservationSpec) -> spaces.Box:
    """The space of an observation."""
    if isinstance(spec, ImageSpec):
        return spaces.Box(0, 255, spec.shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, spec.shape, np.float32)
