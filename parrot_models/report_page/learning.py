"""Learning curves of the runs, and what is read off them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from parrot_data.errors import UserError

NORMAL_95 = 1.96  # half-width of a 95 % interval in standard errors
Floats = NDArray[np.float64]


class RunKey(NamedTuple):
    """One cell of the matrix of runs; the seed is a string, as in the names of folders."""

    task: str
    method: str
    seed: str


@dataclass(frozen=True, eq=False)
class Curve:
    """Success against environment steps, over the training episodes of a run.

    Attributes:
        env_steps: float64 (N,), rising.
        success_rate: float64 (N,) in [0, 1], mean of the last `num_episodes` before that step.
        num_episodes: float64 (N,), width of the window.
    """

    env_steps: Floats
    success_rate: Floats
    num_episodes: Floats


@dataclass(frozen=True, eq=False)
class Band:
    """Mean of several curves with a 95 % interval; three arrays (N,) over `env_steps` (N,)."""

    env_steps: Floats
    mean: Floats
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Run:
    """One fine-tuning run as the report needs it.

    Attributes:
        key: cell of the matrix.
        folder: where it lies.
        curve: success while learning.
        success_rate: of the final, frozen agent.
        untrained_success_rate: of the method's warm-up actions in the same scenes: for a method
            that acts through the prior, the prior's own success.
        untrained_mode_success_rate: of the same at z = 0; None for a method without latents.
        steps_to_50: env steps until the curve reached 0.5, None if it never did.
        steps_to_80: the same for 0.8.
        env_steps: length of the run.
        outcomes: of the final agent, shares of the episodes in which else happened what the
            environment tells of, by name.
        video: GIF of the final agent, None if there is none.
        reach: shares of `demonstrated` and of `uniform` actions that the agent can produce; empty
            where that is not known.
    """

    key: RunKey
    folder: Path
    curve: Curve
    success_rate: float
    untrained_success_rate: float
    untrained_mode_success_rate: float | None
    steps_to_50: int | None
    steps_to_80: int | None
    env_steps: int
    outcomes: Mapping[str, float]
    video: Path | None
    reach: Mapping[str, float] = field(default_factory=dict)


def read_curve(path: Path) -> Curve:
    """Read columns env_steps, success_rate and num_episodes of a CSV file.

    Raises:
        UserError: the file is missing, empty, or lacks a column.
    """
    columns = read_columns(path, ("env_steps", "success_rate", "num_episodes"))
    return Curve(**columns)


def read_columns(path: Path, names: Sequence[str]) -> dict[str, Floats]:
    """Read numeric columns of a CSV file, empty cells as NaN.

    Raises:
        UserError: the file is missing, has no rows, lacks a column, or holds no numbers.
    """
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): rerun its stage") from None
    if not rows:
        raise UserError(f"{path} holds no rows: rerun its stage")
    try:
        return {name: np.array([float(row[name] or "nan") for row in rows]) for name in names}
    except (KeyError, ValueError, TypeError):
        wanted = ", ".join(names)
        raise UserError(f"{path} should hold numbers under {wanted}: rerun its stage") from None


def band_of(curves: Sequence[Curve]) -> Band:
    """Average curves over seeds, on the steps that all of them reached.

    The interval is the mean's, at 1.96 standard errors over seeds; for a single seed it is
    Wilson's, of the window's episodes alone, and says nothing about other seeds.
    """
    end = min(curve.env_steps[-1] for curve in curves)
    steps = np.unique(np.concatenate([curve.env_steps for curve in curves]))
    steps = steps[steps <= end]
    if len(curves) == 1:
        only = curves[0]
        low, high = wilson_interval(only.success_rate, only.num_episodes)
        return Band(only.env_steps, only.success_rate, low, high)
    rates = np.stack([np.interp(steps, c.env_steps, c.success_rate) for c in curves])
    mean = rates.mean(axis=0)
    half = NORMAL_95 * rates.std(axis=0, ddof=1) / np.sqrt(len(curves))
    return Band(steps, mean, np.clip(mean - half, 0, 1), np.clip(mean + half, 0, 1))


def wilson_interval(rate: Floats, num_trials: Floats) -> tuple[Floats, Floats]:
    """95 % score interval of a binomial proportion (Wilson, 1927); arrays of one shape."""
    square = NORMAL_95**2
    centre = (rate + square / (2 * num_trials)) / (1 + square / num_trials)
    spread = np.sqrt(rate * (1 - rate) / num_trials + square / (4 * num_trials**2))
    half = NORMAL_95 * spread / (1 + square / num_trials)
    return np.clip(centre - half, 0, 1), np.clip(centre + half, 0, 1)
