"""The curve of a training: a row every so many steps, the same whether it was killed or not."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path


def curve_log(
    path: Path, columns: Sequence[str], measure: Callable[[], Sequence[float]]
) -> Callable[[int], None]:
    """Write a curve row by row; rows of steps done again after a kill are overwritten.

    Args:
        path: the CSV file; rows that lie in it at the first call are gone on from.
        columns: names of what is measured.
        measure: the values of a row, in that order.

    Returns:
        To be called with the number of steps done.
    """
    rows: dict[int, Sequence[float]] | None = None

    def log(step: int) -> None:
        nonlocal rows
        # Not before: resuming from a checkpoint may bring back the rows of its time.
        rows = _read(path) if rows is None else rows
        rows[step] = measure()
        lines = [",".join(["step", *columns])]
        lines += [
            ",".join([str(s), *(f"{value:.5f}" for value in rows[s])])
            for s in sorted(rows)
            if s <= step
        ]
        temporary = path.with_suffix(".tmp")  # a torn row could not be resumed from
        temporary.write_text("\n".join(lines) + "\n")
        temporary.replace(path)

    return log


def row_of(path: Path, step: int) -> Mapping[str, float]:
    """What a curve has of a step, by column; nothing where it has no such row."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = (row for row in csv.DictReader(file) if row.pop("step") == str(step))
        return {name: float(value) for name, value in next(rows, {}).items()}


def _read(path: Path) -> dict[int, Sequence[float]]:
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        return {int(step): [*map(float, row)] for step, *row in list(csv.reader(file))[1:]}
