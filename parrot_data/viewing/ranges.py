"""Ranges of a stream of rows, of which some numbers may not be finite: those are counted."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray


class RunningRange:
    """Least, greatest, mean and deviation of every column, over its finite numbers.

    A dataset for training may hold no other numbers, and `stores.statistics` refuses them; but who
    looks through raw data looks for just these.

    Args:
        num_columns: how many.
    """

    def __init__(self, num_columns: int) -> None:
        self._num_rows = 0
        self._num_finite = np.zeros(num_columns, np.int64)
        self._min, self._max = np.full(num_columns, np.inf), np.full(num_columns, -np.inf)
        # Sums of distances from the first finite number: a constant column deviates by exactly 0.
        self._origin = np.zeros(num_columns)
        self._sum, self._square_sum = np.zeros(num_columns), np.zeros(num_columns)

    def add(self, rows: NDArray[Any]) -> None:
        """Take in rows (N, D), N >= 1."""
        wide = rows.astype(np.float64)
        finite = np.isfinite(wide)
        is_first = (self._num_finite == 0) & finite.any(axis=0)
        firsts = np.take_along_axis(wide, finite.argmax(axis=0)[None], axis=0)[0]
        self._origin = np.where(is_first, firsts, self._origin)
        self._num_rows += len(wide)
        self._num_finite += finite.sum(axis=0)
        self._min = np.minimum(self._min, np.where(finite, wide, np.inf).min(axis=0))
        self._max = np.maximum(self._max, np.where(finite, wide, -np.inf).max(axis=0))
        distance = np.where(finite, wide, self._origin) - self._origin
        self._sum += distance.sum(axis=0)
        self._square_sum += np.square(distance).sum(axis=0)

    def result(self) -> dict[str, list[Any]]:
        """min, max, mean and std, None of a column without a finite number, and num_not_finite."""
        count = np.maximum(self._num_finite, 1)
        offset = self._sum / count
        variance = np.maximum(self._square_sum / count - offset**2, 0.0)
        columns = {
            "min": self._min,
            "max": self._max,
            "mean": self._origin + offset,
            "std": np.sqrt(variance),
        }
        told = {
            name: [float(v) if n else None for v, n in zip(values, self._num_finite, strict=True)]
            for name, values in columns.items()
        }
        return {**told, "num_not_finite": (self._num_rows - self._num_finite).tolist()}
