"""How a stage tells how far it is, without knowing who listens."""

from __future__ import annotations

from collections.abc import Callable

# (done, total, note). A stage that resumes reports what it found done as its first call, so that
# a listener can compute the rate from the work of this run alone.
Progress = Callable[[int, int, str], None]


def silent(done: int, total: int, note: str) -> None:
    """Listen to nothing: for tests and for callers who script the stages."""
