"""Of any number of episodes few are in memory: what stands for them streams, or lies on disk."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from synthetic import synthetic_episode

from parrot_data.comparison.changes import (
    ChangedEpisode,
    Compared,
    EpisodeMark,
    episode_changes,
)
from parrot_data.stores.entries import EpisodeEntry, entry_of
from parrot_data.stores.kept import KEPT, check_decision, load_kept, write_kept

COUNT, FEW = 300, 10
ALIVE = (EpisodeEntry, EpisodeMark, ChangedEpisode)


class Watched:
    """Entries of many episodes, that count how many objects of episodes are alive as they go by."""

    def __init__(self, first_other: int = COUNT) -> None:
        self.peak = 0
        self._first, self._first_other = entry_of(synthetic_episode(0)), first_other

    def __iter__(self) -> Iterator[EpisodeEntry]:
        gc.collect()
        before = alive()
        for index in range(COUNT):
            content_hash = f"{index + (index >= self._first_other) * COUNT:064x}"
            yield replace(self._first, index=index, content_hash=content_hash)
            if index % 50 == 49:
                self.peak = max(self.peak, alive() - before)


def alive() -> int:
    return sum(type(each) in ALIVE for each in gc.get_objects())


@pytest.mark.parametrize("reason", [lambda i: "", lambda i: "failed", lambda i: "failed" * (i % 2)])
def test_a_decision_is_written_read_and_checked_one_episode_at_a_time(
    tmp_path: Path, reason: Callable[[int], str]
) -> None:
    entries = Watched()

    def of_reason() -> Iterator[tuple[EpisodeEntry, str]]:
        for entry in entries:
            why = reason(entry.index)
            yield replace(entry, success=not why), why

    decided = of_reason()
    write_kept(tmp_path / KEPT, decided, {"tasks": []}, "0" * 64)
    found = load_kept(tmp_path)
    assert list(found.is_kept) == [not reason(index) for index in range(COUNT)]
    if any(found.is_kept):
        check_decision(found, (entry for entry, _ in of_reason()), tmp_path / KEPT)
    assert 0 < entries.peak <= FEW


@pytest.mark.parametrize("first_other", [0, COUNT // 2, COUNT - 1, COUNT])
def test_differences_are_found_and_read_one_at_a_time(first_other: int) -> None:
    a, b = Watched(), Watched(first_other)

    def compared(entries: Watched) -> Compared:
        return Compared((entry.content_hash for entry in entries), entries, seed=0)

    found = episode_changes(compared(a), compared(b))
    num_other = COUNT - first_other
    assert (found.num_common, len(found.changed)) == (first_other, num_other)
    before, seen, peak = alive(), 0, 0
    for change in found.changed:
        seen += change.b.index == first_other + seen
        peak = max(peak, alive() - before) if seen % 50 == 0 else peak
    assert seen == num_other
    assert max(a.peak, b.peak, peak) <= FEW
    assert not found.added
    assert not found.removed
