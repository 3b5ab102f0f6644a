"""How a stage tells how far it is, and what it measures, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable, Mapping

# (done, total, note). A stage that resumes reports what it found done as its first call, so that
# a listener can compute the rate from the work of this run alone.
Progress = Callable[[int, int, str], None]

# (phase, step, values by name), such as ("flow", 250, {"loss": 0.7}). A phase begins by telling,
# without values, the step it goes on from, 0 where nothing was found done: what a killed run told
# of later steps is void from then on. Nothing that a listener does changes the stage's result.
Scalars = Callable[[str, int, Mapping[str, float]], None]


def silent(done: int, total: int, note: str) -> None:
    """Listen to nothing: for tests and for callers who script the stages."""


def unheard(phase: str, step: int, values: Mapping[str, float]) -> None:
    """Listen to no values, for the same."""
