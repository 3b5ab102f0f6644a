"""A trial is one attack on one target; a plan says which stages are attacked, and how often."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from benchmarks.torture.ground import Ground
from benchmarks.torture.stages import DATA_STAGES, STAGES, Stage

Attack = Callable[[Ground, Random], None]


@dataclass(frozen=True)
class Trial:
    """One attack, to be made once.

    Attributes:
        kind: as the table groups them.
        attack: what is done; trials of the same attack are a row of the table.
        target: what it is done to.
        number: tells trials of the same attack and target apart; random numbers follow from it.
        make: makes the attack and raises `Beaten` where it has won.
    """

    kind: str
    attack: str
    target: str
    number: int
    make: Attack

    def random(self, seed: int) -> Random:
        """Random numbers of its own, whatever was tried before it."""
        return Random(f"{seed} {self.kind} {self.attack} {self.target} {self.number}")


@dataclass(frozen=True)
class Outcome:
    """What came of a trial: `trouble` says what went wrong, "" where it was survived."""

    trial: Trial
    trouble: str

    @property
    def survived(self) -> bool:
        """Whether the attack has lost."""
        return not self.trouble


@dataclass(frozen=True)
class Plan:
    """How much is tried.

    Attributes:
        stages: that are attacked.
        most: how often an attack is made on one target, at most.
        every: 1 to make every trial, N to make one of N trials of an attack, and at least one.
    """

    stages: Sequence[Stage]
    most: int
    every: int

    def times(self, wanted: int) -> range:
        """Numbers of the trials of an attack on one target."""
        return range(min(wanted, self.most))

    def has(self, *stages: Stage) -> bool:
        """Whether all of some stages are there."""
        return set(stages) <= set(self.stages)


FULL = Plan(STAGES, most=10, every=1)
BRIEF = Plan(DATA_STAGES, most=1, every=4)
