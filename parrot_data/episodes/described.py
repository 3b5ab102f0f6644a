"""What spaces of gymnasium say of episodes, and environments as a spec describes them."""

from __future__ import annotations

import re
from collections.abc import Iterator
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
from parrot_data.errors import UserError, cause

SINGLE_VECTOR, SINGLE_IMAGE = "state", "image"  # names of an observation that has none
UNBOUNDED = 1e30  # a bound beyond it is none: some write the largest float for it

# Where an observation lies in nested Dicts: a key each; () for one that is no Dict.
Place = tuple[str, ...]


def spec_of(env: gymnasium.Env[Any, Any], task: str) -> EpisodeSpec:
    """What an environment's spaces say of its episodes.

    Raises:
        UserError: a space is of no kind that a spec can say.
    """
    return spec_of_spaces(env.observation_space, env.action_space, f"environment.tasks.{task}")


def spec_of_spaces(
    observations: spaces.Space[Any], actions: spaces.Space[Any], where: str
) -> EpisodeSpec:
    """What spaces say of the episodes of one environment.

    Args:
        observations: its space of these.
        actions: its space of these.
        where: what an error begins with.

    Raises:
        UserError: one is of no kind that a spec can say.
    """
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
    places = places_of(observations, where)
    try:
        return EpisodeSpec(
            observations={
                name: _observation_spec(name, _space_at(observations, place), where)
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


class Description:
    """How what environments observe and do becomes what a spec says of it.

    Vectors become float32; actions take the environment's own dtype and are clipped to its bounds.

    Args:
        observations: an environment's space of these, which says what the spec says.
        actions: its space of these, of as many numbers as the spec's.
        spec: of its episodes.
        where: what an error begins with.

    Attributes:
        observation_space, action_space: as the spec says it, of one environment.
    """

    def __init__(
        self,
        observations: spaces.Space[Any],
        actions: spaces.Space[Any],
        spec: EpisodeSpec,
        where: str,
    ) -> None:
        assert isinstance(actions, spaces.Box)
        self._spec, self._where, self._own = spec, where, actions
        self._places = places_of(observations, where)
        self.observation_space = spaces.Dict({k: box_of(s) for k, s in spec.observations.items()})
        action = spec.action
        low = -np.inf if action.low is None else np.array(action.low, np.float32)
        high = np.inf if action.high is None else np.array(action.high, np.float32)
        self.action_space = spaces.Box(low, high, (action.dim,), np.float32)

    def observed(self, observation: Any, batch: tuple[int, ...] = ()) -> dict[str, NDArray[Any]]:
        """An observation by the spec's names, or a batch of them.

        Args:
            observation: as an environment gave it; of several, `batch` is what its shapes begin
                with.
            batch: (N,), or () for a single one.

        Raises:
            UserError: it is not as the environment's space says.
        """
        try:
            return {
                name: _as_described(_value_at(observation, self._places[name]), each, batch)
                for name, each in self._spec.observations.items()
            }
        except (LookupError, TypeError, ValueError) as error:
            raise UserError(
                f"{self._where}: an observation is not as the environment's own space says "
                f"({cause(error)}): mend the environment, or wrap it"
            ) from error

    def own(self, actions: NDArray[np.float32]) -> NDArray[Any]:
        """Actions (..., A) as the environment takes them."""
        inside = np.clip(np.asarray(actions, np.float64), self._own.low, self._own.high)
        return inside.astype(self._own.dtype)


class DescribedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose observations and actions are as a spec says: see `Description`.

    Args:
        env: any.
        spec: what its spaces say.
        where: what an error begins with.

    Attributes:
        description: of its spaces.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], spec: EpisodeSpec, where: str) -> None:
        super().__init__(env)
        self.description = Description(env.observation_space, env.action_space, spec, where)
        self.observation_space = self.description.observation_space
        self.action_space = self.description.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Start an episode."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self.description.observed(observation), info

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """Take a step."""
        observation, reward, *ended, info = self.env.step(self.description.own(action))
        terminated, truncated = map(bool, ended)
        return self.description.observed(observation), float(reward), terminated, truncated, info


def _value_at(observation: Any, place: Place) -> Any:
    for key in place:
        observation = observation[key]
    return observation


def _as_described(value: Any, spec: ObservationSpec, batch: tuple[int, ...]) -> NDArray[Any]:
    array = np.asarray(value)
    if isinstance(spec, ImageSpec) and array.dtype != np.uint8:  # a cast would make it black
        raise ValueError(f"an image is {array.dtype}")
    return array.astype(spec.dtype, copy=False).reshape((*batch, *spec.shape))


def box_of(spec: ObservationSpec) -> spaces.Box:
    """The space of an observation."""
    if isinstance(spec, ImageSpec):
        return spaces.Box(0, 255, spec.shape, np.uint8)
    return spaces.Box(-np.inf, np.inf, spec.shape, np.float32)
