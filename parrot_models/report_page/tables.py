"""The results as numbers: for `summary.json`, for the terminal, for DVC's plots."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.stores.statistics import DatasetStatistics, Spread
from parrot_models.report_page.learning import Band, Run, band_of

RATES = {
    "untrained_success_rate": "untrained",
    "untrained_mode_success_rate": "at z = 0",
    "success_rate": "success",
}
STEPS = ("steps to 50 %", "steps to 80 %", "env steps")
COUNTS = ("steps_to_50", "steps_to_80", "env_steps")
COMPARED = ("success_rate", "steps_to_80")
REACH = {"demonstrated": "reach demos", "uniform": "reach uniform"}
NONE = "-"


def header_of(runs: Sequence[Run]) -> tuple[str, ...]:
    """Of `result_rows`."""
    return ("task", "method", "seed", *RATES.values(), *_told_words(runs), *STEPS)


def header_of_seeds(runs: Sequence[Run]) -> tuple[str, ...]:
    """Of `seed_rows`."""
    rest = ("of each seed", *_told_words(runs), *STEPS)
    return ("task", "method", "seeds", *RATES.values(), *rest)


def _told_words(runs: Sequence[Run]) -> list[str]:
    words = [name.replace("_", " ") for name in outcomes_of(runs)]
    return [*words, *(REACH[name] for name in reach_of(runs))]


def outcomes_of(runs: Sequence[Run]) -> list[str]:
    """Names of all that environments told of the runs' evaluation episodes."""
    return sorted({name for run in runs for name in run.outcomes})


def reach_of(runs: Sequence[Run]) -> list[str]:
    """Which of `REACH` are known of any run."""
    return [name for name in REACH if any(name in run.reach for run in runs)]


def grouped(runs: Sequence[Run]) -> dict[tuple[str, str], list[Run]]:
    """Runs by task and method, over seeds."""
    groups: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        groups.setdefault((run.key.task, run.key.method), []).append(run)
    return groups


def bands(runs: Sequence[Run]) -> dict[str, dict[str, Band]]:
    """Mean curve with its interval, by task, then by method."""
    by_task: dict[str, dict[str, Band]] = {}
    for (task, method), group in grouped(runs).items():
        by_task.setdefault(task, {})[method] = band_of([run.curve for run in group])
    return by_task


def run_entry(run: Run) -> dict[str, object]:
    """One run's entry in `summary.json`; null for a success rate never reached."""
    return {
        "task": run.key.task,
        "method": run.key.method,
        "seed": int(run.key.seed),
        "success_rate": run.success_rate,
        "steps_to_50": run.steps_to_50,
        "steps_to_80": run.steps_to_80,
        "env_steps": run.env_steps,
        **({"reach": dict(run.reach)} if run.reach else {}),
    }


def final_success(runs: Sequence[Run]) -> dict[str, dict[str, dict[str, float]]]:
    """Mean final success over seeds, by task and method."""
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (task, method), group in grouped(runs).items():
        rate = float(np.mean([run.success_rate for run in group]))
        table.setdefault(task, {})[method] = {"success_rate": rate}
    return table


def compared(runs: Sequence[Run]) -> dict[str, dict[str, dict[str, float]]]:
    """What experiments are compared by, means over seeds, by task and method.

    Steps to 80 % are left out where a seed never reached it.
    """
    table: dict[str, dict[str, dict[str, float]]] = {}
    for (task, method), group in grouped(runs).items():
        values = {name: _mean([getattr(run, name) for run in group]) for name in COMPARED}
        known = {name: value for name, value in values.items() if value is not None}
        table.setdefault(task, {})[method] = known
    return table


def result_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Rows of the results table under `header_of`: each run, then the mean of several seeds."""
    rows: list[tuple[str, ...]] = []
    outcomes, reach = outcomes_of(runs), reach_of(runs)
    for (task, method), group in grouped(runs).items():
        shown = [(run.key.seed, [run]) for run in group]
        shown += [("mean", group)] if len(group) > 1 else []
        for seed, several in shown:
            told = (*_outcomes(several, outcomes), *_reach(several, reach))
            rows.append((task, method, seed, *_rates(several), *told, *_counts(several)))
    return rows


def seed_rows(runs: Sequence[Run]) -> list[tuple[str, ...]]:
    """Rows under `header_of_seeds`: means of each method on each task, and success a seed."""
    rows = []
    outcomes, reach = outcomes_of(runs), reach_of(runs)
    for (task, method), group in grouped(runs).items():
        each = " ".join(f"{run.success_rate:.2f}" for run in group)
        told = (*_outcomes(group, outcomes), *_reach(group, reach), *_counts(group))
        rows.append((task, method, str(len(group)), *_rates(group), each, *told))
    return rows


def results_as_text(runs: Sequence[Run]) -> str:
    """The results for the terminal: a row a run, or of many seeds a row for them together."""
    is_single = len({run.key.seed for run in runs}) == 1
    header = header_of(runs) if is_single else header_of_seeds(runs)
    rows = result_rows(runs) if is_single else seed_rows(runs)
    return as_text(header, rows, num_left=3 if is_single else 2)


def _rates(runs: Sequence[Run]) -> list[str]:
    """Means over runs, NONE where a run has no value to average; so are the others below."""
    return [_share([getattr(run, name) for run in runs]) for name in RATES]


def _outcomes(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    return [_share([run.outcomes.get(name) for run in runs]) for name in names]


def _reach(runs: Sequence[Run], names: Sequence[str]) -> list[str]:
    return [_share([run.reach.get(name) for run in runs]) for name in names]


def _share(values: Sequence[float | None]) -> str:
    mean = _mean(values)
    return NONE if mean is None else f"{mean:.2f}"


def _counts(runs: Sequence[Run]) -> list[str]:
    means = [_mean([getattr(run, name) for run in runs]) for name in COUNTS]
    return [NONE if mean is None else f"{round(mean):,}" for mean in means]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if len(known) == len(values) else None


def as_text(header: Sequence[str], rows: Sequence[Sequence[str]], num_left: int) -> str:
    """Align a table for the terminal: the first `num_left` columns to the left, numbers right."""
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]

    def line(cells: Sequence[str]) -> str:
        padded = (
            cell.ljust(width) if column < num_left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
        )
        return "  ".join(padded).rstrip()

    return "\n".join([line(header), line(["-" * width for width in widths]), *map(line, rows)])


def curves_csv(runs: Sequence[Run]) -> str:
    """Success against steps with a column a method, averaged over tasks and seeds, for DVC."""
    by_method: dict[str, list[Run]] = {}
    for run in runs:
        by_method.setdefault(run.key.method, []).append(run)
    means = {method: band_of([run.curve for run in group]) for method, group in by_method.items()}
    steps = np.unique(np.concatenate([band.env_steps for band in means.values()]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["env_steps", *means])
    for step in steps:
        writer.writerow([int(step), *(_at(band, step) for band in means.values())])
    return buffer.getvalue()


def data_rows(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """Rows a task: episodes, share that succeeded, how many were kept, why others failed."""
    return [
        (
            task,
            f"{values['num_episodes']:,}",
            f"{values['success_rate']:.1%}",
            f"{values['num_kept']:,}",
            _failures(values["failures"]),
        )
        for task, values in sorted(summary["tasks"].items())
    ]


def spec_rows(spec: EpisodeSpec, statistics: DatasetStatistics) -> list[tuple[str, ...]]:
    """Rows of what episodes hold: its name, what it is, and the range of all its numbers.

    Means are over dimensions; a deviation is the mean of the dimensions' own.
    """
    rows = [("action", f"{spec.action.dim} numbers{_bounds(spec)}", *_spread(statistics.action))]
    for name, dim in spec.vectors.items():
        rows.append((name, f"{dim} numbers", *_spread(statistics.vectors[name])))
    for name, image in spec.images.items():
        colours = statistics.images[name]
        said = f"image, {image.height} by {image.width} pixels"
        mean, std = np.mean(colours.mean), np.mean(colours.std)
        rows.append((name, said, f"{mean:.1f}", f"{std:.1f}", NONE, NONE))
    return rows


def _bounds(spec: EpisodeSpec) -> str:
    low, high = spec.action.low, spec.action.high
    if low is None or high is None:
        return ", without bounds"
    return f" from {min(low):g} to {max(high):g}"


def _spread(spread: Spread) -> tuple[str, ...]:
    ends = (np.mean(spread.mean), np.mean(spread.std), min(spread.min), max(spread.max))
    return tuple(f"{value:.3g}" for value in ends)


def metric_rows(metrics: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Rows a number of nested metrics: its name in words, and its value."""
    rows: list[tuple[str, str]] = []
    for name, value in metrics.items():
        label = f"{prefix}{name.replace('_', ' ')}"
        if isinstance(value, Mapping):
            rows += metric_rows(value, f"{label}: ")
        elif isinstance(value, float):
            rows.append((label, f"{value:.3g}" if abs(value) < 1e-3 else f"{value:.3f}"))
        elif isinstance(value, int | str):
            rows.append((label, str(value)))
    return rows


def _failures(reasons: Mapping[str, int]) -> str:
    """Reasons of failure with their counts, the most frequent first."""
    ordered = sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    return ", ".join(f"{reason.replace('_', ' ')} {count:,}" for reason, count in ordered) or "none"


def _at(band: Band, step: float) -> str:
    """The band's mean at a step, empty beyond the end of the shortest run."""
    if step > band.env_steps[-1]:
        return ""
    return f"{np.interp(step, band.env_steps, band.mean):.6g}"
