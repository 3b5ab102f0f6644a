"""Episodes of random numbers for the checks against other libraries; what they mean is nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import ActionSpec, EpisodeSpec, ImageSpec, ObservationSpec


def made_up(
    rng: np.random.Generator, observations: Mapping[str, ObservationSpec], action_dim: int
) -> tuple[EpisodeSpec, list[Episode]]:
    """A spec and four episodes of two tasks; lengths, successes and ends differ.

    Args:
        rng: decides the numbers.
        observations: of the spec.
        action_dim: of the actions, which have no bounds.
    """
    spec = EpisodeSpec(
        observations=dict(observations),
        action=ActionSpec(dim=action_dim, low=None, high=None),
        control_rate_hz=None,
        cameras={},
        tool=None,
        mirror=None,
        privileged={},
    )
    return spec, [_episode(rng, spec, index) for index in range(4)]


def _episode(rng: np.random.Generator, spec: EpisodeSpec, index: int) -> Episode:
    steps = int(rng.integers(3, 30))
    observations: dict[str, NDArray[Any]] = {}
    for name, each in spec.observations.items():
        shape = (steps + 1, *each.shape)
        is_image = isinstance(each, ImageSpec)
        observations[name] = (
            rng.integers(0, 256, shape, dtype=np.uint8)
            if is_image
            else rng.normal(size=shape).astype(np.float32)
        )
    return Episode(
        index=index,
        task=f"task {index % 2}",
        success=index % 2 == 0,
        failure="",
        terminated=index < 2,
        observations=observations,
        actions=rng.normal(size=(steps, spec.action.dim)).astype(np.float32),
        rewards=rng.normal(size=steps).astype(np.float32),
    )
