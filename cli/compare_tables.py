"""What `parrot diff` and `parrot regenerate` print: what a person wants to know, in few lines."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from parrot_data.comparison.divergence import LEAST_OF_CONTENT, MOST_OF_ARITHMETIC

if TYPE_CHECKING:
    from parrot_data.comparison.changes import EpisodeChanges
    from parrot_data.comparison.divergence import Divergence
    from parrot_data.comparison.drift import ColumnDrift, ColumnMoments, TaskCounts, TaskDrift
    from parrot_data.comparison.values import ValueChange
    from parrot_data.diff import Difference
    from parrot_data.regenerate import Regenerated

MOST_ROWS = 12  # of a table; --json has them all
MOST_INDICES = 8
MOST_LETTERS = 44  # of a value
NOTHING = "-"

_THRESHOLDS = (
    f"A first difference of at most {MOST_OF_ARITHMETIC:g} of its array's largest value looks like "
    "other arithmetic: another C library or processor.\n"
    f"One of {LEAST_OF_CONTENT:g} and more, or of what no arithmetic changes, looks like other "
    "content: data, params or code changed.\n"
    "Between them it is unclear. Which code wrote a dataset, its manifest does not record."
)


def difference_told(found: Difference) -> list[Text | Table]:
    """A difference, part by part; parts without any are left out."""
    sides = [
        f"{letter}  {side.name}: {side.num_episodes:,} episodes ({side.kind})"
        for letter, side in (("A", found.a), ("B", found.b))
    ]
    told: list[Text | Table] = [Text("\n".join(sides))]
    if found.is_empty:
        return [*told, Text("no difference: the same episodes, params and spec")]
    told.append(Text("\n".join(_episodes_told(found.episodes))))
    if not found.episodes.is_empty:
        told += _tasks_told(found.tasks)
        told += _columns_told(found.columns)
    told += _values_told("params", found.params)
    told += _values_told("spec", found.spec)
    return told


def _episodes_told(changes: EpisodeChanges) -> Iterator[str]:
    yield f"{changes.num_common:,} episodes in common"
    for word, marks in (("added", changes.added), ("removed", changes.removed)):
        if marks:
            yield f"{len(marks):,} {word}: {_listed(mark.index for mark in marks)}"
    if changes.changed:
        indices = _listed(change.a.index for change in changes.changed)
        fields = sorted({name for change in changes.changed for name in change.fields})
        in_what = f"in arrays and {', '.join(fields)}" if fields else "in arrays alone"
        yield f"{len(changes.changed):,} changed {in_what}: {indices}"


def _listed(indices: Iterable[int]) -> str:
    first = list(islice(indices, MOST_INDICES + 1))
    shown = ", ".join(map(str, first[:MOST_INDICES]))
    return f"{shown}, ..." if len(first) > MOST_INDICES else shown


def _tasks_told(tasks: Sequence[TaskDrift]) -> list[Table]:
    rows = [task for task in tasks if task.a != task.b]
    if not rows:
        return []
    table = _table(("task", "episodes A", "B", "success A", "B", "mean steps A", "B"), len(rows))
    for row in rows[:MOST_ROWS]:
        cells = zip(_counts(row.a), _counts(row.b), strict=True)
        table.add_row(row.task, *(cell for pair in cells for cell in pair))
    return [table]


def _counts(counts: TaskCounts | None) -> tuple[str, str, str]:
    if counts is None:
        return (NOTHING, NOTHING, NOTHING)
    return (
        f"{counts.num_episodes:,}",
        f"{counts.success_rate:.3f}",
        f"{counts.mean_num_steps:.2f}",
    )


def _columns_told(columns: Sequence[ColumnDrift]) -> list[Text | Table]:
    """Of each array, by task, the column that drifted most."""
    worst: dict[tuple[str, str], ColumnDrift] = {}
    for column in columns:
        if column.differs:
            worst.setdefault((column.task, column.array), column)
    if not worst:
        return []
    rows = list(worst.values())
    first = rows[0]
    of_task = f" of {first.task}" if first.task else ""
    told = (
        f"largest drift of a mean: {first.array}[{first.column}]{of_task}, by "
        f"{_number(first.difference)} standard deviations"
    )
    heads = ("largest drift of", "task", "in deviations", "mean A", "B", "deviation A", "B")
    table = _table(heads, len(rows))
    for row in rows[:MOST_ROWS]:
        moments = (_moments(row.a), _moments(row.b))
        cells = [cell for pair in zip(*moments, strict=True) for cell in pair]
        array = f"{row.array}[{row.column}]"
        table.add_row(array, row.task or "all", f"{row.difference:+.3f}", *cells)
    return [Text(told), table]


def _moments(moments: ColumnMoments) -> tuple[str, str]:
    return f"{moments.mean:.4g}", f"{moments.std:.4g}"


def _values_told(title: str, changes: Sequence[ValueChange]) -> list[Table]:
    if not changes:
        return []
    table = _table((title, "A", "B"), len(changes))
    for change in changes[:MOST_ROWS]:
        table.add_row(change.name, _value(change.values, "a"), _value(change.values, "b"))
    return [table]


def _value(values: Mapping[str, Any], side: str) -> str:
    if side not in values:
        return NOTHING
    text = json.dumps(values[side], ensure_ascii=False)
    return text if len(text) <= MOST_LETTERS else f"{text[: MOST_LETTERS - 3]}..."


def divergences_told(name: str, found: Regenerated) -> list[Text]:
    """Whether all came out as they were and, of those that did not, how far off and since when."""
    num_equal = found.num_episodes - len(found.divergences)
    told = (
        f"{name}: {num_equal:,} of {found.num_episodes:,} episodes, of "
        f"{found.num_in_dataset:,} that it holds, come out as they are in it"
    )
    if not found.divergences:
        return [Text(told)]
    looks = Counter(each.looks_like for each in found.divergences)
    kinds = ", ".join(
        f"{count:,} look{'s' if count == 1 else ''} like {kind}"
        for kind, count in sorted(looks.items())
    ).replace("like unclear", "unclear")
    told = f"{told}; of the others, {kinds}"
    lines = [_divergence_told(each) for each in found.divergences[:MOST_ROWS]]
    if len(found.divergences) > MOST_ROWS:
        lines.append(f"and {len(found.divergences) - MOST_ROWS:,} more")
    return [Text("\n".join((told, *lines, _THRESHOLDS)))]


def _divergence_told(each: Divergence) -> str:
    """From which step on an episode differs, in what, by how much, and what that looks like."""
    told = f"  episode {each.index} ({each.task}): "
    if each.first is not None and each.largest is not None:
        first, largest = each.first, each.largest
        told += (
            f"from step {first.first_step}, {first.array} by {_number(first.first_difference)} "
            f"({_number(first.first_share)} of its largest); at most {largest.array} by "
            f"{_number(largest.max_difference)} ({_number(largest.max_share)})"
        )
    else:
        told += "no array"
    also = f"; {', '.join(each.fields)} too" if each.fields else ""
    return f"{told}{also}: {each.looks_like}"


def _number(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "no number"


def _table(heads: Sequence[str], num_rows: int) -> Table:
    table = Table(caption_justify="left")
    for head in heads:
        table.add_column(head, no_wrap=True)
    if num_rows > MOST_ROWS:
        table.caption = f"and {num_rows - MOST_ROWS:,} more"
    return table
