"""Noise on a script's actions, without atoms."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

ACTION_LIMIT = 0.98


def noisy_action(
    action: NDArray[np.float64], scale: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Add Gaussian noise and fold what leaves the limit back inside.

    The authors clip instead, which puts 6 to 9 % of an action dimension exactly on the bound; an
    atom has infinite density, and a flow trained by maximum likelihood chases it. Folding keeps
    the density finite everywhere.

    Args:
        action: (A,) as the script wants it, bounds -1 and 1.
        scale: standard deviation of the noise, the same in each dimension; 0 for none.
        rng: the episode's generator.

    Returns:
        (A,) within [-0.98, 0.98].
    """
    noise = rng.standard_normal(len(action)).tolist()
    noisy = [a + scale * n for a, n in zip(action.tolist(), noise, strict=True)]
    return np.array([_folded(a) for a in noisy], dtype=np.float32)


def _folded(value: float) -> float:
    over = abs(value) - ACTION_LIMIT
    if over <= 0:
        return value
    return math.copysign(max(-ACTION_LIMIT, ACTION_LIMIT - over), value)
