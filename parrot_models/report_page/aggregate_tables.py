"""The aggregates over tasks and seeds as rows, as JSON values, in sentences."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from parrot_models.report_page.aggregates import THRESHOLDS, Aggregates, Bootstrap, Estimate
from parrot_models.report_page.page import Row
from parrot_models.report_page.tables import NONE

REFERENCE = "parrot"
NUM_SEEDS_ENOUGH = 10  # a task, for intervals of which no more needs to be said
WRITTEN = slice(None, None, 5)  # of the thresholds, in summary.json


def reference_of(methods: Sequence[str]) -> str:
    """The method that the others are compared with: parrot, or else the first."""
    return REFERENCE if REFERENCE in methods else methods[0]


def header(reference: str) -> Row:
    """Names of the columns of `rows`."""
    return (
        *("method", "runs", "IQM", "95 % interval", "mean"),
        *(f"P(above {reference})", "95 % interval"),
    )


def rows(found: Aggregates, reference: str) -> list[Row]:
    """A row a method, the highest interquartile mean first."""
    num_runs = str(found.num_tasks * found.num_seeds)
    table: list[Row] = []
    for method in found.ranking():
        iqm, against = found.iqm[method], found.improvement[method].get(reference)
        cells = (_value(iqm), _interval(iqm), _value(found.mean[method]))
        compared = (NONE, NONE) if against is None else (_value(against), _interval(against))
        table.append((method, num_runs, *cells, *compared))
    return table


def note(found: Aggregates, bootstrap: Bootstrap) -> str:
    """Of how much the numbers are, and what their intervals are worth."""
    num_runs = found.num_tasks * found.num_seeds
    if num_runs == 1:
        return (
            "There is one run a method: nothing to average over, and no interval. More tasks or "
            "seeds make this section."
        )
    told = f"Final success over {_counted(found.num_tasks, 'task')} and " + (
        f"{_counted(found.num_seeds, 'seed')}: IQM is the interquartile mean."
    )
    if found.num_seeds == 1:
        return f"{told} No intervals: one seed a task does not tell how much seeds differ."
    told += f" Intervals: {bootstrap.draws:,} bootstrap resamples of the seeds of each task."
    if found.num_seeds < NUM_SEEDS_ENOUGH:
        # Resamples of n seeds vary by (n - 1) / n of what n new seeds would
        short = 1 - math.sqrt((found.num_seeds - 1) / found.num_seeds)
        told += f" With {found.num_seeds} seeds they are about {short:.0%} too narrow."
    return told


def as_json(found: Aggregates, bootstrap: Bootstrap) -> dict[str, object]:
    """The same for summary.json; nothing where a method has but one run."""
    if found.num_tasks * found.num_seeds == 1:
        return {}
    return {
        "bootstrap": {"draws": bootstrap.draws, "seed": bootstrap.seed},
        "num_tasks": found.num_tasks,
        "num_seeds": found.num_seeds,
        "iqm": _all_json(found.iqm),
        "mean": _all_json(found.mean),
        "improvement": [
            {"method": method, "over": other, **_json(estimate)}
            for method, by_other in sorted(found.improvement.items())
            for other, estimate in sorted(by_other.items())
        ],
        "profile": {
            "thresholds": THRESHOLDS[WRITTEN].tolist(),
            "methods": _all_json({m: e.at(WRITTEN) for m, e in found.profile.items()}),
        },
    }


def _all_json(estimates: Mapping[str, Estimate]) -> dict[str, object]:
    return {method: _json(estimate) for method, estimate in estimates.items()}


def _json(estimate: Estimate) -> dict[str, object]:
    ends = {"low": estimate.low, "high": estimate.high}
    return {
        "value": estimate.value.tolist(),
        **{name: end if end is None else end.tolist() for name, end in ends.items()},
    }


def _value(estimate: Estimate) -> str:
    return f"{float(estimate.value):.2f}"


def _interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return NONE
    return f"{float(estimate.low):.2f} to {float(estimate.high):.2f}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
