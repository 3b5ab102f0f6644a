"""Rank correlations of an audit's figures with what agents then did, and how large chance's are."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from parrot_models.report_page.audited import TaskAudited

FEWEST = 3  # tasks: two are always in order
MOST_ENUMERATED = 8  # tasks, of which all orders are looked at
RARE = 0.05
SAID = ("log_prob_per_dim", "within", "sampled", "mode")


@dataclass(frozen=True)
class Correlation:
    """Of one figure of the audit, over the tasks of which it is known.

    Attributes:
        figure: an attribute of `TaskAudited`, one of `SAID`.
        num_tasks: of which it is known.
        success: with final success; None for fewer than `FEWEST` tasks, or where all are equal.
        steps_to_80: with the steps to 0.8, where never is later than all else; the same.
    """

    figure: str
    num_tasks: int
    success: float | None
    steps_to_80: float | None


def correlations(tasks: Sequence[TaskAudited]) -> list[Correlation]:
    """A correlation for each of `SAID`; none where fewer than `FEWEST` tasks can be compared."""
    found = []
    for figure in SAID:
        known = [task for task in tasks if getattr(task, figure) is not None]
        said = [getattr(task, figure) for task in known]
        steps = [math.inf if task.steps_to_80 is None else task.steps_to_80 for task in known]
        success = [task.success_rate for task in known]
        values = (_spearman(said, success), _spearman(said, steps))
        found.append(Correlation(figure, len(known), *values))
    return found if len(tasks) >= FEWEST else []


def by_chance(num_tasks: int) -> tuple[float, float]:
    """How large a correlation is that chance seldom reaches between figures without ties.

    Args:
        num_tasks: at least `FEWEST`.

    Returns:
        The least size that unrelated figures have or exceed in at most `RARE` of all orders, 1
        where there is none, and in what share of orders they do. Counted for up to
        `MOST_ENUMERATED` tasks; beyond by Student's t, as is usual (Kendall and Stuart, 1973).
    """
    if num_tasks > MOST_ENUMERATED:
        t = stats.t.ppf(1 - RARE / 2, num_tasks - 2)
        return float(t / math.sqrt(num_tasks - 2 + t**2)), RARE
    orders = np.array(list(itertools.permutations(range(num_tasks))))
    squares = np.square(orders - np.arange(num_tasks)).sum(1)
    sizes = np.abs(1 - 6 * squares / (num_tasks * (num_tasks**2 - 1))).round(9)
    shares = {float(size): float((sizes >= size).mean()) for size in np.unique(sizes)}
    rare = [size for size, share in shares.items() if share <= RARE]
    size = min(rare, default=1.0)
    return size, shares[size]


def _spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    if len(first) < FEWEST or len(set(first)) == 1 or len(set(second)) == 1:
        return None
    return float(stats.spearmanr(first, second).statistic)
