"""Diff two datasets: episodes by their content hashes, drift of statistics, params and specs.

Either may be one of another git revision, which is read through DVC without a checkout. Entries
stream, so do arrays where a manifest does not hold their statistics.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from parrot_data.comparison.changes import (
    ChangedEpisode,
    Compared,
    EpisodeChanges,
    EpisodeMark,
    episode_changes,
)
from parrot_data.comparison.drift import (
    ColumnDrift,
    TaskDrift,
    TaskTally,
    column_drifts,
    statistics_of,
    task_drifts,
)
from parrot_data.comparison.named import Dataset, open_dataset
from parrot_data.comparison.values import ValueChange, changed_values
from parrot_data.progress import Progress, silent
from parrot_data.stores.entries import EpisodeEntry

KEYS = ("a", "b", "episodes", "tasks", "arrays", "params", "spec")  # of a difference as JSON


@dataclass(frozen=True)
class Side:
    """One of the two: its name, its kind and how many episodes it holds."""

    name: str
    kind: str
    num_episodes: int


@dataclass(frozen=True)
class Difference:
    """What differs between two datasets, A and B.

    Attributes:
        a, b: which.
        episodes: added to A, removed from it, changed in it.
        tasks: every task of either.
        columns: of the arrays that both have, greatest standardised difference first; none where
            both hold the same episodes.
        params, spec: values that differ.
    """

    a: Side
    b: Side
    episodes: EpisodeChanges
    tasks: list[TaskDrift]
    columns: list[ColumnDrift]
    params: list[ValueChange]
    spec: list[ValueChange]

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same episodes, made with the same params."""
        return self.episodes.is_empty and not (self.params or self.spec)

    def as_json(self) -> dict[str, Any]:
        """All of it, as JSON values with the keys `KEYS`."""
        return {
            "a": asdict(self.a),
            "b": asdict(self.b),
            "episodes": {
                "num_common": self.episodes.num_common,
                "added": [_plain(mark) for mark in self.episodes.added],
                "removed": [_plain(mark) for mark in self.episodes.removed],
                "changed": [_plain_change(change) for change in self.episodes.changed],
            },
            "tasks": [asdict(task) for task in self.tasks],
            "arrays": [{**asdict(c), "difference": _finite(c.difference)} for c in self.columns],
            "params": [{"name": change.name, **change.values} for change in self.params],
            "spec": [{"name": change.name, **change.values} for change in self.spec],
        }


def diff(a: Path, b: Path, *, by_task: bool = False, progress: Progress = silent) -> Difference:
    """Say what changed from one dataset to another.

    Args:
        a: a folder of episodes or shards or, where there is none of that name, PATH@REV.
        b: another.
        by_task: tell the drift of arrays task by task, for which every episode is read.
        progress: called after each episode whose arrays are read.

    Returns:
        The difference; mirrored, it is that of the two the other way round.

    Raises:
        UserError: one of them is missing, damaged, or not to be had; see `open_dataset`.
    """
    with open_dataset(a) as old, open_dataset(b) as new:
        tallies = TaskTally(), TaskTally()
        episodes = episode_changes(_compared(old, tallies[0]), _compared(new, tallies[1]))
        columns = []
        if not episodes.is_empty:
            each = [statistics_of(one, by_task=by_task, progress=progress) for one in (old, new)]
            columns = column_drifts(each[0], each[1], (old.manifest.spec, new.manifest.spec))
        specs = [one.manifest.spec.model_dump() for one in (old, new)]
        return Difference(
            a=_side(old),
            b=_side(new),
            episodes=episodes,
            tasks=task_drifts(tallies[0].counts(), tallies[1].counts()),
            columns=columns,
            params=changed_values(old.manifest.params, new.manifest.params),
            spec=changed_values(specs[0], specs[1]),
        )


def _side(dataset: Dataset) -> Side:
    return Side(dataset.name, dataset.manifest.kind, dataset.manifest.num_episodes)


def _compared(dataset: Dataset, tally: TaskTally) -> Compared:
    def hashes() -> Iterator[str]:
        for entry in dataset.entries():
            tally.add(entry)
            yield entry.content_hash

    def entries() -> Iterator[EpisodeEntry]:
        yield from dataset.entries()  # checked once they are wanted

    return Compared(hashes(), entries(), dataset.manifest.seed)


def _plain(mark: EpisodeMark) -> dict[str, Any]:
    return {
        "index": mark.index,
        "source": mark.source,
        "task": mark.task,
        "content_hash": mark.content_hash,
    }


def _plain_change(change: ChangedEpisode) -> dict[str, Any]:
    return {
        "index": change.a.index,
        "source": change.a.source,
        "fields": change.fields,
        "a": change.a.content_hash,
        "b": change.b.content_hash,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
