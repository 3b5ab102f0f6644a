"""Which episodes two datasets share, and which were added, removed or changed, by content hashes.

A hash stands for all of an episode, its index and its arrays included. Of one dataset every hash is
held in memory, 32 bytes each, and of both the few values that tell an episode which the other does
not hold; everything else streams.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from parrot_data.stores.entries import EpisodeEntry

_FIELDS = ("task", "success", "failure", "terminated", "num_steps", "facts")


@dataclass(frozen=True, slots=True, order=True)
class EpisodeMark:
    """What tells an episode.

    Attributes:
        index: in its run.
        source: whence it is: "seed N" of a simulated one, else what its import calls it.
        content_hash: of all of it.
        said: task, success, failure, terminated, num_steps, and a hash of the facts.
    """

    index: int
    source: str
    content_hash: str
    said: tuple[str | int, ...]

    @property
    def task(self) -> str:
        """What was done."""
        return str(self.said[0])


@dataclass(frozen=True)
class ChangedEpisode:
    """An episode that is another one, though of the same index and source.

    Attributes:
        a, b: as it was and as it is.
    """

    a: EpisodeMark
    b: EpisodeMark

    @property
    def fields(self) -> list[str]:
        """Which fields of it differ; none where only arrays do."""
        both = zip(_FIELDS, self.a.said, self.b.said, strict=True)
        return [name for name, old, new in both if old != new]


@dataclass(frozen=True)
class EpisodeChanges:
    """How the episodes of two datasets differ, in the order of indices.

    Attributes:
        num_common: how many both hold.
        added: which only B holds.
        removed: which only A holds.
        changed: which both hold under one index and source, and not the same.
    """

    num_common: int
    added: list[EpisodeMark]
    removed: list[EpisodeMark]
    changed: list[ChangedEpisode]

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same episodes."""
        return not (self.added or self.removed or self.changed)


def mark_of(entry: EpisodeEntry, seed: int) -> EpisodeMark:
    """What tells an episode of a dataset whose manifest has a seed."""
    source = entry.facts.get("source")
    facts = hashlib.sha256(json.dumps(entry.facts, sort_keys=True).encode()).hexdigest()
    said = (entry.task, entry.success, entry.failure, entry.terminated, entry.num_steps, facts)
    return EpisodeMark(
        entry.index,
        source if isinstance(source, str) else f"seed {seed}",
        entry.content_hash,
        said,
    )


def episode_changes(
    a: Iterable[EpisodeMark], b: Iterable[EpisodeMark], hashes_of_b: Iterable[str]
) -> EpisodeChanges:
    """Hold the episodes of two datasets against each other.

    Args:
        a: those of the one; read once.
        b: those of the other; read once, after `a`.
        hashes_of_b: their content hashes; read first.
    """
    missing = Counter(bytes.fromhex(each) for each in hashes_of_b)
    total = missing.total()
    only_a = list(_not_in(missing, a))
    num_common = total - missing.total()
    only_b = list(_in(missing, b))
    changed, removed, added = _paired(only_a, only_b)
    return EpisodeChanges(num_common, added, removed, changed)


def _not_in(missing: Counter[bytes], marks: Iterable[EpisodeMark]) -> Iterator[EpisodeMark]:
    """Those that B does not hold; those that it does are taken off its count."""
    for mark in marks:
        digest = bytes.fromhex(mark.content_hash)
        if missing[digest] > 0:
            missing[digest] -= 1
        else:
            yield mark


def _in(missing: Counter[bytes], marks: Iterable[EpisodeMark]) -> Iterator[EpisodeMark]:
    """Those of B that A did not take off its count."""
    for mark in marks:
        digest = bytes.fromhex(mark.content_hash)
        if missing[digest] > 0:
            missing[digest] -= 1
            yield mark


def _paired(
    only_a: Sequence[EpisodeMark], only_b: Sequence[EpisodeMark]
) -> tuple[list[ChangedEpisode], list[EpisodeMark], list[EpisodeMark]]:
    """Those of one index and source, and what is left of A and of B."""
    waiting: defaultdict[tuple[int, str], list[EpisodeMark]] = defaultdict(list)
    for mark in sorted(only_b, reverse=True):
        waiting[mark.index, mark.source].append(mark)
    changed, removed = [], []
    for mark in sorted(only_a):
        same = waiting.get((mark.index, mark.source))
        if same:
            changed.append(ChangedEpisode(mark, same.pop()))
        else:
            removed.append(mark)
    return changed, removed, sorted(mark for same in waiting.values() for mark in same)
