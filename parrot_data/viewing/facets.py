"""Facets: by what the episodes of a dataset can be told apart, as far as their entries say."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from parrot_data.stores.entries import EpisodeEntry

MOST_FACETS = 32
MOST_VALUES = 2000  # of a facet: who has more is a name of each episode, and found by its number


@dataclass(frozen=True)
class Facet:
    """A key of the facts, such as "objects", with its values in order.

    Attributes:
        name: the key.
        codes: place of each value among them.
    """

    name: str
    codes: Mapping[str, int]

    def of(self, entry: EpisodeEntry) -> list[int]:
        """The codes of an episode's values, none where it has none."""
        return [self.codes[label] for label in _labels(entry.facts.get(self.name)) or ()]


@dataclass(frozen=True)
class Facets:
    """What tells the episodes apart.

    Attributes:
        tasks, failures: codes by name, in the order of names.
        facts: facets of the facts.
        num_successes, num_steps: of all episodes together.
    """

    tasks: Mapping[str, int]
    failures: Mapping[str, int]
    facts: list[Facet]
    num_successes: int
    num_steps: int


@dataclass
class _Seen:
    """What was seen of a key of the facts; `counts` is None once it can be no facet."""

    counts: Counter[str] | None = field(default_factory=Counter)
    num_with: int = 0
    is_task: bool = True

    def add(self, value: Any, task: str) -> None:
        labels = _labels(value)
        if labels is None:
            self.counts = None
        if self.counts is None or not labels:
            return
        self.num_with += 1
        self.is_task = self.is_task and labels == [task]
        self.counts.update(labels)
        if len(self.counts) > MOST_VALUES:
            self.counts = None

    def facet(self, name: str, num_episodes: int) -> Facet | None:
        """The facet, unless it tells no two episodes apart, or only says again what the task is."""
        is_everywhere = self.num_with == num_episodes
        if self.counts is None or len(self.counts) + (not is_everywhere) < 2:
            return None
        if max(self.counts.values(), default=0) < 2 or (is_everywhere and self.is_task):
            return None
        return Facet(name, _codes(self.counts))


def facets_of(entries: Iterable[EpisodeEntry]) -> Facets:
    """Collect the facets of a dataset; the entries stream.

    A key of the facts is one where its values are plain ones or lists of plain ones, at most
    `MOST_VALUES` different ones, of which one occurs twice. At most `MOST_FACETS` keys are looked
    at, those that are met first.
    """
    tasks, failures, seen = Counter[str](), Counter[str](), dict[str, _Seen]()
    num_successes = num_steps = num_episodes = 0
    for entry in entries:
        num_episodes += 1
        num_successes += entry.success
        num_steps += entry.num_steps
        tasks[entry.task] += 1
        if entry.failure:
            failures[entry.failure] += 1
        for name, value in entry.facts.items():
            if name in seen or len(seen) < MOST_FACETS:
                seen.setdefault(name, _Seen()).add(value, entry.task)
    facets = [seen[name].facet(name, num_episodes) for name in sorted(seen)]
    return Facets(
        tasks=_codes(tasks),
        failures=_codes(failures),
        facts=[facet for facet in facets if facet is not None],
        num_successes=num_successes,
        num_steps=num_steps,
    )


def _codes(names: Iterable[str]) -> dict[str, int]:
    return {name: code for code, name in enumerate(sorted(names))}


def _labels(value: Any) -> list[str] | None:
    """A value as what it is called, each once; None where it is no plain value or list of them."""
    values = value if isinstance(value, list) else [value]
    if any(isinstance(each, list | dict) for each in values):
        return None
    texts = (each if isinstance(each, str) else json.dumps(each) for each in values)
    return sorted({text for text in texts if text not in ("", "null")})
