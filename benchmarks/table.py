"""Results as a table on the terminal, as JSON and as Markdown; numbers are spelt alike in all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.table import Table

from benchmarks.row import Result
from parrot_data.errors import UserError

COLUMNS = ("what", "against", "unit", "ours", "rival's", "ratio", "target", "met")


def rich_table(results: Sequence[Result]) -> Table:
    """The table for a terminal, a line between groups."""
    table = Table(*COLUMNS[:3])
    for column in COLUMNS[3:]:
        table.add_column(column, justify="right", no_wrap=True)
    for before, result in zip([None, *results], results, strict=False):
        if before is not None and before.group != result.group:
            table.add_section()
        table.add_row(*_cells(result))
    return table


def plain(result: Result) -> dict[str, Any]:
    """A result as JSON values; figures are null where the row could not be measured."""
    row, figures = result.row, result.figures
    return {
        "group": result.group,
        "name": row.name,
        "rival": row.rival,
        "unit": row.unit,
        "ours": figures and figures.ours,
        "rivals": figures and figures.rivals,
        "ratio": figures and figures.ratio,
        "targets": [str(target) for target in row.targets],
        "is_met": result.is_met,
        "note": figures.note if figures else result.trouble,
    }


def markdown(results: Sequence[Result], about: Mapping[str, Mapping[str, Any]]) -> str:
    """A page: what was measured where, the table, then a note a row."""
    lines = ["# Benchmarks", "", *paragraphs(about)]
    lines += [table_line(COLUMNS), table_line(["---"] * 3 + ["---:"] * 5)]
    lines += [table_line(_cells(result)) for result in results]
    lines += ["", "## Notes", ""]
    for result in results:
        note = result.figures.note if result.figures else result.trouble
        lines += [f"- **{result.row.name}**: {note}"] if note else []
    return "\n".join(lines) + "\n"


def with_table(page: str, name: str, table: str) -> str:
    """A page with a table in place of the one that it had.

    Args:
        page: it says where, between `<!-- NAME -->` and `<!-- end of NAME -->`.
        name: of the place.
        table: as Markdown.

    Raises:
        UserError: the page does not mark the place.
    """
    marks = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
    before, begin, rest = page.partition(marks[0])
    _, end, after = rest.partition(marks[1])
    if not begin or not end:
        raise UserError(
            f"the page has no place for the table: write {marks[0].strip()} and {marks[1]} there."
        )
    return f"{before}{begin}\n{table}\n{end}{after}"


def spelt(value: float | None) -> str:
    """A number as people read it: three digits that count, all of a large integer."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _cells(result: Result) -> list[str]:
    row, figures = result.row, result.figures
    measured = (figures.ours, figures.rivals, figures.ratio) if figures else (None,) * 3
    met = {True: "yes", False: "no", None: "-"}[result.is_met]
    targets = ", ".join(str(target) for target in row.targets)
    return [row.name, row.rival or "-", row.unit, *map(spelt, measured), targets, met]


def paragraphs(about: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Lines of Markdown: a paragraph for each title, its facts in a sentence."""
    lines = []
    for title, facts in about.items():
        told = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in facts.items())
        lines += [f"**{title.capitalize()}:** {told}.", ""]
    return lines


def table_line(cells: Sequence[str]) -> str:
    """A line of a table in Markdown."""
    return "| " + " | ".join(cells) + " |"
