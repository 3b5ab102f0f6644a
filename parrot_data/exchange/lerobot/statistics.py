"""Statistics of features, of each episode and of all, as LeRobot normalises by them.

Of each feature `min`, `max`, `mean`, `std`, `count` (of steps) and the quantiles `q01` to `q99`;
of images by channel, in [0, 1], of shape (3, 1, 1). Quantiles of all episodes are the means of
theirs, weighted by their steps, as LeRobot itself puts episodes together.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
NAMES = ("min", "max", "mean", "std", "count", *QUANTILES)
_LEVELS = 256  # of a byte
_PIXELS_AT_ONCE = 1 << 20
Statistics = dict[str, NDArray[Any]]


def of_numbers(rows: NDArray[Any]) -> Statistics:
    """Statistics of numbers.

    Args:
        rows: (T, D), or (T,) for a number a step.

    Returns:
        (D,) each; `min` and `max` of whole numbers and flags are such, all else is float64.
    """
    flat = rows.reshape(len(rows), -1)
    plain = flat.astype(np.float64)
    ends = plain if flat.dtype.kind == "f" else flat
    quantiles = np.quantile(plain, list(QUANTILES.values()), axis=0)
    return {
        "min": ends.min(axis=0),
        "max": ends.max(axis=0),
        "mean": plain.mean(axis=0),
        "std": plain.std(axis=0),
        "count": np.array([len(rows)]),
        **dict(zip(QUANTILES, quantiles, strict=True)),
    }


def of_images(rows: NDArray[np.uint8]) -> Statistics:
    """Statistics of images (T, H, W, 3), exact, from how often each level is in each channel."""
    counts = np.zeros((3, _LEVELS), dtype=np.int64)
    pixels = rows.reshape(-1, 3)
    for start in range(0, len(pixels), _PIXELS_AT_ONCE):
        part = pixels[start : start + _PIXELS_AT_ONCE]
        for channel in range(3):
            counts[channel] += np.bincount(part[:, channel], minlength=_LEVELS)
    found = {name: np.empty((3, 1, 1)) for name in NAMES if name != "count"}
    levels, total = np.arange(_LEVELS), len(pixels)
    for channel in range(3):
        count = counts[channel]
        there = np.flatnonzero(count)
        mean = float(count @ levels) / total
        variance = float(count @ (levels - mean) ** 2) / total
        reached = np.cumsum(count)
        values = {"min": there[0], "max": there[-1], "mean": mean, "std": np.sqrt(variance)}
        for name, share in QUANTILES.items():
            values[name] = np.searchsorted(reached, share * total)
        for name, value in values.items():
            found[name][channel] = value / (_LEVELS - 1)
    return {**found, "count": np.array([len(rows)])}


class Total:
    """Statistics of all episodes, from those of each."""

    def __init__(self) -> None:
        self._found: dict[str, Statistics] = {}

    def add(self, episode: Mapping[str, Statistics]) -> None:
        """Take those of one more episode, by feature."""
        for key, each in episode.items():
            self._found[key] = _together(self._found[key], each) if key in self._found else each

    def json(self) -> dict[str, dict[str, Any]]:
        """As `stats.json` has them."""
        return {
            key: {name: each[name].tolist() for name in NAMES} for key, each in self._found.items()
        }


def _together(one: Statistics, other: Statistics) -> Statistics:
    count = one["count"] + other["count"]
    share = float(other["count"][0] / count[0])
    step = other["mean"] - one["mean"]
    variance = (1 - share) * one["std"] ** 2 + share * other["std"] ** 2
    return {
        "min": np.minimum(one["min"], other["min"]),
        "max": np.maximum(one["max"], other["max"]),
        "mean": one["mean"] + share * step,
        "std": np.sqrt(variance + share * (1 - share) * step**2),
        "count": count,
        **{name: (1 - share) * one[name] + share * other[name] for name in QUANTILES},
    }
