"""Curves of several variants beside each other: at equal steps, and at equal time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import mean
from typing import Any

from benchmarks.table import paragraphs, table_line

NUM_POINTS = 8  # of a curve in the table


@dataclass(frozen=True)
class Learned:
    """What a run came to.

    Attributes:
        variant, seed: which run.
        success_rate: of the frozen agent, on the evaluation scenes.
        steps_to_80: env steps at which its training success first reached 0.8, None if never.
        cpu_s: CPU time of the whole run, evaluation included.
        curve: env steps and success over the last training episodes, in order.
    """

    variant: str
    seed: int
    success_rate: float
    steps_to_80: int | None
    cpu_s: float
    curve: list[tuple[int, float]]

    @property
    def num_steps(self) -> int:
        """Env steps of the run."""
        return self.curve[-1][0]

    def success_at(self, env_steps: float) -> float:
        """Training success at the last point of the curve not after `env_steps`, 0 before any."""
        return next((rate for at, rate in reversed(self.curve) if at <= env_steps), 0.0)


def learning_page(
    runs: Sequence[Learned], task: str, about: Mapping[str, Mapping[str, Any]]
) -> str:
    """A page of Markdown: final success, curves at equal steps, then at equal time.

    Args:
        runs: of one or more variants, the first of which the others are compared with.
        task: that was learned.
        about: facts on machine and code.
    """
    of: dict[str, list[Learned]] = {}
    for run in runs:
        of.setdefault(run.variant, []).append(run)
    lines = [f"# Learning {task}", "", *paragraphs(about)]
    lines += ["A cell is the mean over seeds, then the least and the greatest.", ""]
    lines += _table(
        ["variant", "seeds", "final success", "env steps", "CPU minutes a run"],
        [[name, *_whole_runs(group)] for name, group in of.items()],
    )
    first = next(iter(of.values()))
    num_steps, minutes = first[0].num_steps, mean(run.cpu_s for run in first) / 60
    steps = [num_steps * (i + 1) // NUM_POINTS for i in range(NUM_POINTS)]
    times = [minutes * (i + 1) / NUM_POINTS for i in range(NUM_POINTS)]
    at_steps = [[f"{at:,}", *_bands(of, partial(Learned.success_at, env_steps=at))] for at in steps]
    at_times = [[f"{at:.1f}", *_bands(of, partial(_success_after, minutes=at))] for at in times]
    lines += ["", "## Training success at equal steps", ""]
    lines += _table(["env steps", *of], at_steps)
    lines += ["", "## Training success at equal CPU time", ""]
    lines += _table(["CPU minutes", *of], at_times)
    return "\n".join(lines) + "\n"


def _whole_runs(runs: Sequence[Learned]) -> list[str]:
    return [
        str(len(runs)),
        _band([run.success_rate for run in runs]),
        f"{runs[0].num_steps:,}",
        _band([run.cpu_s / 60 for run in runs]),
    ]


def _bands(of: Mapping[str, Sequence[Learned]], success: Callable[[Learned], float]) -> list[str]:
    return [_band([success(run) for run in runs]) for runs in of.values()]


def _success_after(run: Learned, minutes: float) -> float:
    """Training success after some CPU time, every step of a run taken to cost the same."""
    return run.success_at(run.num_steps * min(1.0, 60 * minutes / run.cpu_s))


def _band(values: Sequence[float]) -> str:
    return f"{mean(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [table_line(head), table_line(["---"] * len(head)), *map(table_line, rows)]
