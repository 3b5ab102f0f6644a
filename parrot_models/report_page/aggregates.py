"""Final success over all tasks and seeds, as the field reports it.

Interquartile means, performance profiles and probabilities of improvement, with intervals of a
bootstrap that is stratified by task: Agarwal et al., "Deep Reinforcement Learning at the Edge of
the Statistical Precipice" (NeurIPS 2021), section 4.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from parrot_data.errors import UserError
from parrot_data.streams import generator
from parrot_models.report_page.learning import Floats, Run

CONFIDENCE = 0.95
TRIMMED = 0.25  # share of the runs left out at either end of an interquartile mean
THRESHOLDS: Floats = np.arange(101) / 100  # exact hundredths, as success rates are

Strata = Sequence[Floats]
# From scores (..., N) of each stratum, their last axis reduced, to (...) or (K, ...).
Statistic = Callable[..., NDArray[np.float64]]


@dataclass(frozen=True)
class Bootstrap:
    """How intervals are drawn.

    Attributes:
        draws: resamples an interval.
        seed: of the resampling.
    """

    draws: int
    seed: int


@dataclass(frozen=True, eq=False)
class Estimate:
    """A statistic of the runs, and its 95 % interval: three arrays of one shape.

    Attributes:
        value: of the runs as they are.
        low, high: percentiles over resampled runs; None where a task has a single run, as nothing
            then tells how much seeds differ.
    """

    value: Floats
    low: Floats | None
    high: Floats | None

    def at(self, place: int | slice) -> Estimate:
        """A part of it, along the first axis."""
        low, high = (end if end is None else end[place] for end in (self.low, self.high))
        return Estimate(np.asarray(self.value[place]), low, high)

    def complement(self) -> Estimate:
        """The same of one minus the statistic."""
        low, high = (end if end is None else 1 - end for end in (self.low, self.high))
        return Estimate(1 - self.value, high, low)


@dataclass(frozen=True, eq=False)
class Aggregates:
    """What is said of methods over the same tasks and seeds; `Estimate`s by method.

    Attributes:
        num_tasks, num_seeds: a method has a run of each seed of each task.
        iqm: interquartile means of success, ().
        mean: means, ().
        profile: shares of runs with more success than each of THRESHOLDS, (101,).
        improvement: by method and other method, the probability that a run of the first has more
            success than one of the second on the same task, a tie counted as half, (); the mean
            over tasks.
    """

    num_tasks: int
    num_seeds: int
    iqm: Mapping[str, Estimate]
    mean: Mapping[str, Estimate]
    profile: Mapping[str, Estimate]
    improvement: Mapping[str, Mapping[str, Estimate]]

    def ranking(self) -> list[str]:
        """Methods by interquartile mean, the highest first."""
        return sorted(self.iqm, key=lambda method: (-float(self.iqm[method].value), method))


def aggregate(runs: Sequence[Run], bootstrap: Bootstrap) -> Aggregates:
    """Aggregate final success over tasks and seeds; the order of runs changes nothing.

    Raises:
        UserError: a method has no run of a task and seed that others have.
    """
    strata = _strata(runs)
    found = {method: _estimate(_summary, scores, bootstrap) for method, scores in strata.items()}
    some = next(iter(strata.values()))
    return Aggregates(
        num_tasks=len(some),
        num_seeds=len(some[0]),
        iqm={method: estimate.at(0) for method, estimate in found.items()},
        mean={method: estimate.at(1) for method, estimate in found.items()},
        profile={method: estimate.at(slice(2, None)) for method, estimate in found.items()},
        improvement=_improvements(strata, bootstrap),
    )


def _strata(runs: Sequence[Run]) -> dict[str, list[Floats]]:
    """Success (N,) of each method's runs, sorted, a task after another."""
    cells: dict[str, dict[tuple[str, str], float]] = {}
    for run in runs:
        cells.setdefault(run.key.method, {})[run.key.task, run.key.seed] = run.success_rate
    tasks = sorted({run.key.task for run in runs})
    seeds = sorted({run.key.seed for run in runs})
    for method, (task, seed) in itertools.product(cells, itertools.product(tasks, seeds)):
        if (task, seed) not in cells[method]:
            raise UserError(
                f"{method} has no run of {task} with seed {seed}: methods are compared over the "
                "same seeds of the same tasks, so make that run, or take its task or seed out"
            )
    return {
        method: [np.sort([of_method[task, seed] for seed in seeds]) for task in tasks]
        for method, of_method in cells.items()
    }


def _estimate(statistic: Statistic, strata: Strata, bootstrap: Bootstrap) -> Estimate:
    """A statistic, and its interval by resampling each stratum for itself."""
    value = np.asarray(statistic(*strata, axis=-1))
    if min(map(len, strata)) < 2:
        return Estimate(value, None, None)
    interval = stats.bootstrap(
        strata,
        statistic,
        n_resamples=bootstrap.draws,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=generator(bootstrap.seed, "report: bootstrap"),
    ).confidence_interval
    return Estimate(value, np.asarray(interval.low), np.asarray(interval.high))


def _summary(*strata: Floats, axis: int) -> Floats:
    """Interquartile mean, mean, and share above each threshold: (103, ...)."""
    scores = np.concatenate(strata, axis=axis)
    above = [(scores > threshold).mean(axis) for threshold in THRESHOLDS]
    return np.stack([stats.trim_mean(scores, TRIMMED, axis=axis), scores.mean(axis), *above])


def _improvements(
    strata: Mapping[str, Strata], bootstrap: Bootstrap
) -> dict[str, dict[str, Estimate]]:
    found: dict[str, dict[str, Estimate]] = {method: {} for method in strata}
    for first, second in itertools.combinations(sorted(strata), 2):
        estimate = _estimate(_improvement, [*strata[first], *strata[second]], bootstrap)
        found[first][second] = estimate
        found[second][first] = estimate.complement()
    return found


def _improvement(*strata: Floats, axis: int) -> Floats:
    """Mean over tasks of P(X > Y) + P(X = Y) / 2, from strata of X, then those of Y."""
    num_tasks = len(strata) // 2
    signs = [
        np.sign(np.expand_dims(x, axis) - np.expand_dims(y, axis - 1)).mean((axis - 1, axis))
        for x, y in zip(strata[:num_tasks], strata[num_tasks:], strict=True)
    ]
    return np.asarray(0.5 + np.mean(signs, axis=0) / 2)
