"""Which episodes two datasets share, and which were added, removed or changed, by content hashes.

A hash stands for all of an episode, its index and its arrays included. What is compared is sorted
on disk, and what differs stays there and is read one by one: of any number of episodes, and of
differences, few are in memory.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby, zip_longest
from operator import itemgetter
from typing import Any, Generic, Literal, TypeVar

from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.sorted_rows import SortedRows

_A, _B = 0, 1  # the sides
_Each = TypeVar("_Each")
_Kind = Literal["added", "removed", "changed"]
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
class Several(Generic[_Each]):
    """Differences of one kind: as many as there are, read one by one as often as wanted."""

    count: int
    read: Callable[[], Iterator[_Each]]

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[_Each]:
        return self.read()


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
    added: Several[EpisodeMark]
    removed: Several[EpisodeMark]
    changed: Several[ChangedEpisode]

    @property
    def is_empty(self) -> bool:
        """Whether both hold the same episodes."""
        return not (self.added or self.removed or self.changed)


@dataclass(frozen=True)
class Compared:
    """A dataset, as it is compared.

    Attributes:
        hashes: content hashes of its episodes, in their order; read once, and first.
        entries: of the episodes, in the same order; read once, and only where they differ.
        seed: of its manifest.
    """

    hashes: Iterable[str]
    entries: Iterable[EpisodeEntry]
    seed: int


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


def episode_changes(a: Compared, b: Compared) -> EpisodeChanges:
    """Hold the episodes of two datasets against each other.

    Raises:
        UserError: there is no room to sort them on disk.
    """
    with SortedRows(2) as different:
        num_common = _add_different(different, a, b)
        alone = _alone(different, (a, b))
    counts = Counter(kind for kind, _ in _paired(alone))

    def several(wanted: _Kind) -> Several[Any]:
        return Several(counts[wanted], lambda: (o for kind, o in _paired(alone) if kind == wanted))

    return EpisodeChanges(num_common, several("added"), several("removed"), several("changed"))


def _add_different(different: SortedRows, a: Compared, b: Compared) -> int:
    """Note side and place of what only one side holds; gives how many episodes both hold."""
    num_common = 0
    with SortedRows(3) as hashes:
        for side, compared in ((_A, a), (_B, b)):
            for place, content_hash in enumerate(compared.hashes):
                hashes.add(bytes.fromhex(content_hash), side, place)
        for _, same in groupby(hashes, itemgetter(0)):
            places: tuple[list[int], list[int]] = ([], [])
            for _, side, place in same:
                places[side].append(place)
            num_both = min(map(len, places))
            num_common += num_both
            # Those of one hash are one and the same: which of them are left over is all one
            for side in (_A, _B):
                for place in places[side][num_both:]:
                    different.add(side, place)
    return num_common


def _alone(different: SortedRows, compared: tuple[Compared, Compared]) -> SortedRows:
    """Marks of the episodes that only one side holds, each after its index, source and side."""
    alone = SortedRows(5)
    for side, rows in groupby(different, itemgetter(0)):
        entries = _at_places(compared[side].entries, (place for _, place in rows))
        for entry in entries:
            mark = mark_of(entry, compared[side].seed)
            source = mark.source.encode("utf-8", "surrogatepass")
            said = json.dumps(mark.said).encode()
            alone.add(mark.index, source, side, bytes.fromhex(mark.content_hash), said)
    return alone


def _at_places(entries: Iterable[EpisodeEntry], places: Iterator[int]) -> Iterator[EpisodeEntry]:
    wanted = next(places, None)
    for place, entry in enumerate(entries):
        if place == wanted:
            yield entry
            wanted = next(places, None)
        if wanted is None:
            return


def _paired(alone: SortedRows) -> Iterator[tuple[_Kind, EpisodeMark | ChangedEpisode]]:
    """Those of one index and source as one that was changed, and what is left of A and of B."""
    for _, same in groupby(alone, itemgetter(0, 1)):
        marks: tuple[list[EpisodeMark], list[EpisodeMark]] = ([], [])
        for row in same:
            marks[row[2]].append(_mark_in(row))
        for old, new in zip_longest(*marks):
            if old is None:
                yield "added", new
            elif new is None:
                yield "removed", old
            else:
                yield "changed", ChangedEpisode(old, new)


def _mark_in(row: tuple[Any, ...]) -> EpisodeMark:
    index, source, _, content_hash, said = row
    said = tuple(json.loads(said))
    return EpisodeMark(index, source.decode("utf-8", "surrogatepass"), content_hash.hex(), said)
