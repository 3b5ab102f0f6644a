"""How far two records of one episode lie apart, from which step on, and what that looks like.

Other arithmetic (another C library or processor) changes a last bit, which contacts then magnify:
of 300 episodes of the default data, 72 differ where the C library fuses multiplications and
additions. In none of these was an image another one before a vector was, and at its first step the
largest difference was 1e-11 to 3.5e-4 of the array's largest value. Whoever changes content changes
it by more, or changes what arithmetic cannot: a name, the number of steps, an image alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import METADATA_TYPES, Episode

# Of the first difference, as a share of its array's largest value; between them nothing is said.
MOST_OF_ARITHMETIC, LEAST_OF_CONTENT = 1e-3, 1e-2
# Drawn or told before anything is computed
_NO_ARITHMETIC = {"index", "task", "facts"}
Looks = Literal["other arithmetic", "other content", "unclear"]


@dataclass(frozen=True)
class ArrayDivergence:
    """An array of the two records that is not the same.

    Attributes:
        array: as in `Episode.arrays`.
        first_step: row of the first difference, to the last bit.
        first_difference: the greatest in that row; infinite where one is no number.
        max_difference: the greatest of all.
        size: the greatest absolute value in either array.
        num_steps: rows that differ.
        is_smooth: whether a last bit of it can be another one: of real numbers but rewards, which
            jump from 0 to 1 as images do from colour to colour.
    """

    array: str
    first_step: int
    first_difference: float
    max_difference: float
    size: float
    num_steps: int
    is_smooth: bool

    @property
    def first_share(self) -> float:
        """The first difference as a share of `size`."""
        return self._share(self.first_difference)

    @property
    def max_share(self) -> float:
        """The greatest difference as a share of `size`."""
        return self._share(self.max_difference)

    @property
    def first_time(self) -> float:
        """When that row came about, in steps: an action between two observations, then a reward."""
        return self.first_step + {"actions": 0.5, "rewards": 1.0}.get(self.array, 0.0)

    def _share(self, difference: float) -> float:
        return difference / self.size if 0.0 < self.size < math.inf else difference


@dataclass(frozen=True)
class Divergence:
    """An episode as a dataset holds it, and as it comes out when it is simulated anew.

    Attributes:
        index, task: of the stored one.
        fields: names of metadata that differ, and "num_steps" where the lengths do.
        arrays: those that differ in the steps that both have, earliest first.
    """

    index: int
    task: str
    fields: list[str]
    arrays: list[ArrayDivergence]

    @property
    def first(self) -> ArrayDivergence | None:
        """What differs first; of several at once a smooth one, and of these the farthest off."""
        return self.arrays[0] if self.arrays else None

    @property
    def largest(self) -> ArrayDivergence | None:
        """The array with the greatest difference, as a share, at any step."""
        return max(self.arrays, key=lambda each: each.max_share, default=None)

    @property
    def looks_like(self) -> Looks:
        """What the first difference looks like, by the two thresholds."""
        if self.first is None or _NO_ARITHMETIC.intersection(self.fields):
            return "other content"
        if self.first.first_share >= LEAST_OF_CONTENT:
            return "other content"
        is_small = self.first.first_share <= MOST_OF_ARITHMETIC
        return "other arithmetic" if is_small else "unclear"


def divergence(stored: Episode, simulated: Episode) -> Divergence:
    """Hold two records of an episode against each other, to the last bit."""
    fields = [
        name for name in METADATA_TYPES if stored.metadata()[name] != simulated.metadata()[name]
    ]
    if stored.num_steps != simulated.num_steps:
        fields.append("num_steps")
    theirs = simulated.arrays()
    pairs = ((name, array, theirs[name]) for name, array in stored.arrays().items())
    found = [each for pair in pairs if (each := _array_divergence(*pair)) is not None]
    found.sort(key=lambda each: (each.first_time, not each.is_smooth, -each.first_share))
    return Divergence(stored.index, stored.task, fields, found)


def nearest(divergences: Iterable[Divergence]) -> Divergence:
    """Of several ways to simulate one episode, that which goes along with it longest."""

    def distance(each: Divergence) -> tuple[bool, float]:
        is_other = bool(_NO_ARITHMETIC.intersection(each.fields))
        return is_other, -math.inf if each.first is None else -each.first.first_time

    return min(divergences, key=distance)


def _array_divergence(name: str, a: NDArray[Any], b: NDArray[Any]) -> ArrayDivergence | None:
    num_rows = min(len(a), len(b))
    a, b = (array[:num_rows].reshape(num_rows, -1) for array in (a, b))
    differing = np.flatnonzero((_bits(a) != _bits(b)).any(axis=1))
    if not len(differing):
        return None
    first = int(differing[0])
    distances = [_greatest_difference(a[row], b[row]) for row in differing]
    with np.errstate(invalid="ignore"):
        size = float(np.fmax(np.abs(a), np.abs(b)).max()) if a.dtype.kind != "b" else 1.0
    return ArrayDivergence(
        array=name,
        first_step=first,
        first_difference=distances[0],
        max_difference=max(distances),
        size=size,
        num_steps=len(differing),
        is_smooth=a.dtype.kind == "f" and name != "rewards",
    )


def _bits(array: NDArray[Any]) -> NDArray[Any]:
    """Its numbers as they are stored, so that 0 and -0 differ, and no number equals itself."""
    return np.ascontiguousarray(array).view(f"u{array.dtype.itemsize}")


def _greatest_difference(a: NDArray[Any], b: NDArray[Any]) -> float:
    with np.errstate(invalid="ignore"):
        distances = np.abs(a.astype(np.float64) - b.astype(np.float64))
    return float(np.where(np.isnan(distances), np.inf, distances).max())
