"""Two results files beside each other: what became slower or larger, and by how much."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from rich.table import Table

from benchmarks.table import spelt
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json

COLUMNS = ("what", "against", "unit", "before", "after", "after / before", "rival's", "verdict")
KEYS = {"name", "rival", "unit", "ours", "rivals", "targets"}
# What a figure may change by for no reason at all, in its unit; a share of it says nothing below.
NOISE: Mapping[str, float] = MappingProxyType({"nats": 1e-3, "MB": 4.0, "GB": 0.05})
Verdict = Literal["worse", "better", "as before", "only before", "only after"]


@dataclass(frozen=True)
class Change:
    """A row before and after.

    Attributes:
        name, rival, unit: of the row.
        before, after: our figure, None where it was not measured.
        change: the second over the first; None where one is missing or the first is 0.
        rivals_change: the same of the rival's figure: where its code is not ours, what the machine
            did to both.
        verdict: on our figure alone.
    """

    name: str
    rival: str
    unit: str
    before: float | None
    after: float | None
    change: float | None
    rivals_change: float | None
    verdict: Verdict


def compare(before: Path, after: Path, tolerance: float) -> list[Change]:
    """Hold the rows of one results.json against those of another, in the order of the first.

    Args:
        before: file of `parrot bench`.
        after: another.
        tolerance: share of a figure by which it may be worse, or better, and still be as before.

    Raises:
        UserError: one is no such file, or they were measured on machines that differ.
    """
    old, new = _read(before), _read(after)
    for fact in ("cpu", "cores"):
        one, other = (found["machine"].get(fact) for found in (old, new))
        if one != other:
            raise UserError(
                f"{before} and {after} are of different machines ({fact} {one} against {other}): "
                "measure both on one"
            )
    rows, others = _rows(old), _rows(new)
    return [_change(rows.get(key), others.get(key), tolerance) for key in {**rows, **others}]


def _change(
    old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, tolerance: float
) -> Change:
    said = new or old
    assert said is not None
    before, after = (_figure(row, "ours") for row in (old, new))
    rivals = _over(_figure(new, "rivals"), _figure(old, "rivals"))
    is_cost = said["targets"][0].startswith("<=")
    verdict = _verdict(before, after, is_cost, tolerance, NOISE.get(said["unit"], 0.0))
    return Change(
        said["name"], said["rival"], said["unit"], before, after, _over(after, before), rivals,
        verdict,
    )  # fmt: skip


def _verdict(
    before: float | None, after: float | None, is_cost: bool, tolerance: float, noise: float
) -> Verdict:
    if after is None or before is None:
        return "only before" if after is None else "only after"
    low, high = sorted((before, after))
    # Of a rate and of a cost alike: worse by 10 % is 1.1 times the seconds.
    if high <= (1 + tolerance) * low or high - low <= noise:
        return "as before"
    return "worse" if (after > before) is is_cost else "better"


def _figure(row: Mapping[str, Any] | None, which: Literal["ours", "rivals"]) -> float | None:
    return None if row is None else row[which]


def _over(after: float | None, before: float | None) -> float | None:
    return None if after is None or not before else after / before


def _rows(found: Mapping[str, Any]) -> dict[tuple[str, str], Mapping[str, Any]]:
    return {(row["name"], row["rival"]): row for row in found["rows"]}


def _read(path: Path) -> Mapping[str, Any]:
    found: Any = read_json(path) if path.is_file() else None
    is_whole = (
        isinstance(found, dict)
        and found.keys() >= {"machine", "rows"}
        and isinstance(found["machine"], dict)
        and isinstance(found["rows"], list)
        and all(isinstance(r, dict) and r.keys() >= KEYS and r["targets"] for r in found["rows"])
    )
    if not is_whole:
        raise UserError(f"{path} is no results.json of `parrot bench`: name one")
    whole: Mapping[str, Any] = found
    return whole


def comparison_table(changes: Sequence[Change]) -> Table:
    """The table for a terminal."""
    table = Table(*COLUMNS[:3])
    for column in COLUMNS[3:]:
        table.add_column(column, justify="right", no_wrap=True)
    for change in changes:
        figures = (change.before, change.after, change.change, change.rivals_change)
        table.add_row(
            change.name, change.rival or "-", change.unit, *map(spelt, figures), change.verdict
        )
    return table
