"""The world of environments that are registered with gymnasium, whoever wrote them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from pydantic import ValidationError

from parrot_data.episodes.spec import (
    ActionSpec,
    EpisodeSpec,
    ImageSpec,
    ObservationSpec,
    VectorSpec,
)
from parrot_data.errors import UserError
from parrot_data.worlds.params import GymnasiumParams, SuccessInInfo
from parrot_data.worlds.world import Demonstrator, Env, cause, known

SINGLE_VECTOR, SINGLE_IMAGE = "state", "image"  # names of an observation that has none
UNBOUNDED = 1e30  # a bound beyond it is none: some write the largest float for it

# Where an observation lies in nested Dicts: a key each; () for one that is no Dict.
Place = tuple[str, ...]


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
        return _Described(env, task, self.spec, self._params)

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
                named.id,
                max_episode_steps=self._params.max_steps,
                render_mode=render_mode,
                disable_env_checker=True,
                **named.kwargs,
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


def spec_of(env: Env, task: str) -> EpisodeSpec:
    """What an environment's spaces say of its episodes.

    Raises:
        UserError: a space is of no kind that a spec can say.
    """
    where, actions = f"environment.tasks.{task}", env.action_space
    if (
        not isinstance(actions, spaces.Box)
        or len(actions.shape) != 1
        or not np.issubdtype(actions.dtype, np.floating)
    ):
        raise UserError(
            f"{where}: the action is {actions}, where a vector of real numbers (a Box of floats) "
            "is needed: choose another environment, or wrap this one"
        )
    low, high = actions.low.astype(float), actions.high.astype(float)
    is_bounded = bool((np.abs([low, high]) < UNBOUNDED).all())
    places = places_of(env.observation_space, where)
    try:
        return EpisodeSpec(
            observations={
                name: _observation_spec(name, _space_at(env.observation_space, place), where)
                for name, place in places.items()
            },
            action=ActionSpec(
                dim=actions.shape[0],
                low=low.tolist() if is_bounded else None,
                high=high.tolist() if is_bounded else None,
            ),
            control_rate_hz=None,
            cameras={},
            tool=None,
            mirror=None,
            privileged={},
        )
    except ValidationError as error:
        raise _unusable(where, error) from error


def _unusable(where: str, error: ValidationError) -> UserError:
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))
    return UserError(
        f"{where}: its spaces cannot be used ({place}{': ' if place else ''}"
        f"{first['msg'].removeprefix('Value error, ')}): choose another environment, or wrap this "
        "one"
    )


def places_of(space: spaces.Space[Any], where: str) -> dict[str, Place]:
    """Where each observation lies, by its name.

    An observation in nested Dicts is named by its keys, joined by "_"; what cannot stand in a name
    becomes "_".

    Raises:
        UserError: two observations get the same name.
    """
    found: dict[str, Place] = {}
    for place in _leaves(space):
        name = re.sub(r"\W", "_", "_".join(place), flags=re.ASCII) or _single_name(space)
        if name in found:
            raise UserError(
                f"{where}: the observations {'.'.join(found[name])} and {'.'.join(place)} would "
                f"both be called {name}: wrap the environment so that their names differ"
            )
        found[name] = place
    return found


def _leaves(space: spaces.Space[Any], before: Place = ()) -> Iterator[Place]:
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            yield from _leaves(inner, (*before, str(key)))
    else:
        yield before


def _space_at(space: spaces.Space[Any], place: Place) -> spaces.Space[Any]:
    for key in place:
        assert isinstance(space, spaces.Dict)
        space = space.spaces[key]
    return space


def _single_name(space: spaces.Space[Any]) -> str:
    return SINGLE_IMAGE if _is_image(space) else SINGLE_VECTOR


def _is_image(space: spaces.Space[Any]) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) == 3
        and space.shape[-1] == 3
    )


def _is_vector(space: spaces.Box) -> bool:
    return len(space.shape) <= 1 and np.issubdtype(space.dtype, np.floating)


def _observation_spec(name: str, space: spaces.Space[Any], where: str) -> ObservationSpec:
    try:
        if isinstance(space, spaces.Box) and _is_image(space):
            return ImageSpec(height=space.shape[0], width=space.shape[1])
        if isinstance(space, spaces.Box) and _is_vector(space):
            return VectorSpec(dim=space.shape[0] if space.shape else 1)
    except ValidationError as error:
        raise _unusable(f"{where}: the observation {name}", error) from error
    raise UserError(
        f"{where}: the observation {name} is {space}, neither an RGB image (uint8, height x width "
        "x 3) nor a vector of real numbers (float): choose another environment, or wrap this one"
    )


class _Described(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose observations, actions and success are as a world's have to be.

    Vectors become float32, actions take the environment's own dtype and are clipped to its bounds,
    and info holds `is_success`, but nothing privileged, of which the spec knows nothing.
    """

    def __init__(self, env: Env, task: str, spec: EpisodeSpec, params: GymnasiumParams) -> None:
        super().__init__(env)
        self._where = f"environment.tasks.{task}"
        self._spec, self._success = spec, params.success
        self._places = places_of(env.observation_space, self._where)
        self.observation_space = spaces.Dict({k: box_of(s) for k, s in spec.observations.items()})
        action = spec.action
        low = -np.inf if action.low is None else np.array(action.low, np.float32)
        high = np.inf if action.high is None else np.array(action.high, np.float32)
        self.action_space = spaces.Box(low, high, (action.dim,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        observation, info = self.env.reset(seed=seed, options=options)
        return self._named(observation), self._told(info, is_success=False)

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        inner = self.env.action_space
        assert isinstance(inner, spaces.Box)
        own = np.clip(np.asarray(action, np.float64), inner.low, inner.high).astype(inner.dtype)
        observation, reward, terminated, truncated, info = self.env.step(own)
        told = self._told(info, is_success=self._is_success(float(reward), info))
        return self._named(observation), float(reward), bool(terminated), bool(truncated), told

    def _named(self, observation: Any) -> dict[str, NDArray[Any]]:
        try:
            return {
                name: _as_described(_value_at(observation, self._places[name]), each)
                for name, each in self._spec.observations.items()
            }
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{self._where}: an observation is not as the environment's own space says "
                f"({cause(error)}): mend the environment, or wrap it"
            ) from error

    def _told(self, info: Mapping[str, Any], *, is_success: bool) -> dict[str, Any]:
        told = {key: value for key, value in info.items() if key != "privileged"}
        return {**told, "is_success": is_success}

    def _is_success(self, reward: float, info: dict[str, Any]) -> bool:
        if not isinstance(self._success, SuccessInInfo):
            return reward >= self._success.reward_at_least
        if self._success.info not in info:
            raise UserError(
                f"environment.success: the info of a step has no {self._success.info!r}, only "
                f"{', '.join(sorted(map(str, info))) or 'nothing'}: name one of these, or a reward"
            )
        return bool(info[self._success.info])


def _value_at(observation: Any, place: Place) -> Any:
    for key in place:
        observation = observation[key]
    return observation


def _as_described(value: Any, spec: ObservationSpec) -> NDArray[Any]:
    array = np.asarray(value)
    if isinstance(spec, ImageSpec) and array.dtype != np.uint8:  # a cast would make it black
        raise ValueError(f"an image is {array.dtype}")
    return array.astype(spec.dtype, copy=False).reshape(spec.shape)


def box_of(spec: ObservationSpec) -> spaces.Box:
    """The space of an observation."""
    if isinstance(spec, ImageSpec):
        return spaces.Box(0, 255, spec.shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, spec.shape, np.float32)
