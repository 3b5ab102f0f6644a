"""How far the statistics of two datasets lie apart, by task and by column of each array."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parrot_data.comparison.named import Dataset
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.statistics import DatasetStatistics, RunningStatistics

ALL = ""  # in place of a task: all of them
Statistics = Mapping[str, DatasetStatistics]  # by task, or of `ALL`


@dataclass(frozen=True)
class TaskCounts:
    """What the entries say of the episodes of a task; `mean_num_steps` is their mean length."""

    num_episodes: int
    success_rate: float
    mean_num_steps: float


@dataclass(frozen=True)
class TaskDrift:
    """A task in both datasets, None in one that does not have it."""

    task: str
    a: TaskCounts | None
    b: TaskCounts | None


@dataclass(frozen=True)
class ColumnMoments:
    """Mean and standard deviation of a column of an array; an image's are of a colour channel."""

    mean: float
    std: float


@dataclass(frozen=True)
class ColumnDrift:
    """A column of an array in both datasets.

    Attributes:
        task: that the episodes are of; "" for all of them.
        array: as in `Episode.arrays`, such as "actions".
        column: which of its numbers, or which colour of an image.
        a, b: its moments.
    """

    task: str
    array: str
    column: int
    a: ColumnMoments
    b: ColumnMoments

    @property
    def difference(self) -> float:
        """Standardised: that of the means over the root of the mean of both variances.

        Infinite where neither varies and they differ.
        """
        distance = self.b.mean - self.a.mean
        deviation = math.sqrt((self.a.std**2 + self.b.std**2) / 2)
        if distance == 0.0:
            return 0.0
        return distance / deviation if deviation else math.copysign(math.inf, distance)

    @property
    def differs(self) -> bool:
        """Whether mean or deviation is another."""
        return self.a != self.b


class TaskTally:
    """Counts the entries of a dataset by task."""

    def __init__(self) -> None:
        self._sums: dict[str, list[int]] = {}

    def add(self, entry: EpisodeEntry) -> None:
        """Take one more entry in."""
        sums = self._sums.setdefault(entry.task, [0, 0, 0])
        for place, value in enumerate((1, entry.success, entry.num_steps)):
            sums[place] += value

    def counts(self) -> dict[str, TaskCounts]:
        """Counts and means so far, by task."""
        return {
            task: TaskCounts(num, successes / num, steps / num)
            for task, (num, successes, steps) in self._sums.items()
        }


def task_drifts(a: Mapping[str, TaskCounts], b: Mapping[str, TaskCounts]) -> list[TaskDrift]:
    """Every task of either dataset."""
    return [TaskDrift(task, a.get(task), b.get(task)) for task in sorted(a.keys() | b.keys())]


def statistics_of(dataset: Dataset, *, by_task: bool, progress: Progress) -> Statistics:
    """Statistics of all episodes from the manifest, where it has them; else they stream.

    Args:
        dataset: of which.
        by_task: of each task instead.
        progress: called after each episode that is read.

    Raises:
        UserError: as `Dataset.episodes`, or a number is not finite.
    """
    manifest = dataset.manifest
    if manifest.kind == "shards" and not by_task:
        return {ALL: manifest.statistics}
    running: dict[str, RunningStatistics] = {}
    for done, episode in enumerate(dataset.episodes(), start=1):
        task = episode.task if by_task else ALL
        if task not in running:
            running[task] = RunningStatistics(manifest.spec)
        running[task].add(episode)
        progress(done, manifest.num_episodes, dataset.name)
    return {task: each.result() for task, each in running.items()}


def column_drifts(
    a: Statistics, b: Statistics, specs: tuple[EpisodeSpec, EpisodeSpec]
) -> list[ColumnDrift]:
    """Every column that both datasets have, of tasks that both have; greatest difference first."""
    names = _shared(*specs)
    drifts = [
        ColumnDrift(task, name, column, before, after)
        for task in sorted(a.keys() & b.keys())
        for name in names
        for column, (before, after) in enumerate(
            zip(_columns(a[task], name), _columns(b[task], name), strict=True)
        )
    ]
    return sorted(drifts, key=lambda drift: -abs(drift.difference))


def _shared(a: EpisodeSpec, b: EpisodeSpec) -> list[str]:
    """Arrays that both specs have, and of one shape."""
    same = [name for name, each in a.observations.items() if b.observations.get(name) == each]
    actions = ["actions"] if a.action.dim == b.action.dim else []
    return [*actions, *(f"observation.{name}" for name in sorted(same))]


def _columns(statistics: DatasetStatistics, name: str) -> list[ColumnMoments]:
    moments: Any = {**statistics.vectors, **statistics.images}.get(name.partition(".")[2])
    moments = moments or statistics.action
    return [ColumnMoments(*each) for each in zip(moments.mean, moments.std, strict=True)]
