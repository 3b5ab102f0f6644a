"""The curve of an agent that still learns: each row is there once it is known."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from parrot_data.progress import Scalars
from parrot_models.rl.evaluation import append_to_curve, curve_rows
from parrot_models.rl.learner import EpisodeSummary

PHASE = "finetune"
COUNTS = ("env_steps", "num_episodes")  # columns that measure nothing


class GrowingCurve:
    """`curve.csv` as far as it goes, and whoever listens to its rows.

    Args:
        path: the file; begun anew, with the rows of the episodes that are over.
        window, every: see `curve_rows`.
        history: every training episode so far; whoever appends to it calls `grow`.
        env_steps: taken so far; of these no row is told again.
        scalars: called with each new row.
    """

    def __init__(
        self,
        path: Path,
        window: int,
        every: int,
        history: Sequence[EpisodeSummary],
        env_steps: int,
        scalars: Scalars,
    ) -> None:
        self._path, self._window, self._every = path, window, every
        self._history, self._scalars = history, scalars
        self._num_seen = len(history)
        path.unlink(missing_ok=True)
        self._write(curve_rows(history, window, every, is_over=False))
        scalars(PHASE, env_steps, {})

    def grow(self, *, is_over: bool) -> None:
        """Write and tell the rows of new episodes; where all is over, that of the last one too."""
        rows = curve_rows(
            self._history, self._window, self._every, since=self._num_seen, is_over=is_over
        )
        self._num_seen = len(self._history)
        self._write(rows)
        # Episodes side by side may end in one step; then the last row counts.
        for step, row in {int(row["env_steps"]): row for row in rows}.items():
            values = {name: value for name, value in row.items() if name not in COUNTS}
            self._scalars(PHASE, step, values)

    def _write(self, rows: Sequence[dict[str, float]]) -> None:
        if rows:  # unfinished work without anything in it is taken away
            append_to_curve(self._path, rows)
