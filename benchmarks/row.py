"""A row of the table: what is measured, against what, and what must come out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from benchmarks.setting import Setting


@dataclass(frozen=True)
class Figures:
    """What was measured. Both figures are rates where more is better, costs where less is.

    Attributes:
        ours: our figure, in the row's unit.
        rivals: the rival's, in the same unit; None where the rival is only a number in the target.
        note: what a reader must know to judge the two.
    """

    ours: float
    rivals: float | None
    note: str = ""

    @property
    def ratio(self) -> float | None:
        """Our figure over the rival's."""
        return None if self.rivals is None else self.ours / self.rivals


@dataclass(frozen=True)
class Target:
    """A bound on what was measured; see `at_least` and the others below.

    Attributes:
        sign: ">=" for a least value, "<=" for a greatest.
        bound: of our figure as a multiple of the rival's, or of our figure itself.
        of: which of the two.
        allowance: in the row's unit, added to that multiple of the rival's figure.
    """

    sign: Literal[">=", "<="]
    bound: float
    of: Literal["ratio", "ours"]
    allowance: float = 0.0

    def is_met(self, figures: Figures) -> bool:
        """Whether the figures keep to the bound.

        Raises:
            ValueError: the target is a ratio and there is no rival's figure.
        """
        limit = self.bound
        if self.of == "ratio":
            if figures.rivals is None:
                raise ValueError("a target on the ratio needs the rival's figure")
            limit = self.bound * figures.rivals + self.allowance
        return figures.ours >= limit if self.sign == ">=" else figures.ours <= limit

    def __str__(self) -> str:
        """For example ">= 2.5x", "<= 1.5x + 1" or ">= 140,000"."""
        multiple = "x" if self.of == "ratio" else ""
        allowance = f" + {self.allowance:g}" if self.allowance else ""
        return f"{self.sign} {self.bound:,g}{multiple}{allowance}"


def at_least(ratio: float) -> Target:
    """Our rate is so many times the rival's, or more."""
    return Target(">=", ratio, "ratio")


def at_most(ratio: float, allowance: float = 0.0) -> Target:
    """Our cost is no more than so many times the rival's, plus an allowance in the row's unit."""
    return Target("<=", ratio, "ratio", allowance)


def at_least_itself(value: float) -> Target:
    """Our figure is this, or more, whatever the rival's."""
    return Target(">=", value, "ours")


def at_most_itself(value: float) -> Target:
    """Our figure is this, or less, whatever the rival's."""
    return Target("<=", value, "ours")


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        name: what is measured.
        rival: against what.
        unit: of both figures.
        targets: all of them must be met.
        measure: measures both, interleaved.
    """

    name: str
    rival: str
    unit: str
    targets: tuple[Target, ...]
    measure: Callable[[Setting], Figures]


@dataclass(frozen=True)
class Result:
    """A row after it was tried.

    Attributes:
        group: the rows it was measured with.
        row: what was to be measured.
        figures: what came out, None where it could not be measured.
        trouble: one sentence on why it could not, "" where it could.
        is_failure: whether that is a failure, rather than a rival that is not installed.
    """

    group: str
    row: Row
    figures: Figures | None
    trouble: str = ""
    is_failure: bool = False

    @property
    def is_met(self) -> bool | None:
        """Whether every target is met; None where nothing was measured."""
        figures = self.figures
        if figures is None:
            return None
        return all(target.is_met(figures) for target in self.row.targets)
