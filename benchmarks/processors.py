"""What was measured on each kind of processor, side by side.

    python -m benchmarks.processors docs/performance.md RESULTS.json ...

writes the table of docs/performance.md anew, between the comments that mark it. Where two results
of one processor have the same row, that of the later name counts.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.table import spelt, table_line, with_table
from parrot_data.stores.publish import read_json

PLACE = "table of processors"
# Whose figures are of the work and not of the processor
LEFT_OUT = ("growth", "entries")
UNMEASURED = "-"


def processors_table(results: Sequence[Mapping[str, Any]]) -> str:
    """Rows of the benchmark and what each processor made of them, as Markdown.

    A figure is the ratio to what the row is held against, or the figure itself where it is held
    against nothing; it is bold where it misses a target.

    Args:
        results: what each results.json holds.
    """
    cpus = list(dict.fromkeys(each["machine"]["cpu"] for each in results))
    found: dict[tuple[str, str], dict[str, dict[str, Any]]] = {}
    for each in results:
        for row in each["rows"]:
            if row["group"] not in LEFT_OUT:
                of_row = found.setdefault((row["name"], row["rival"]), {})
                of_row[each["machine"]["cpu"]] = row
    lines = [table_line(["what", "against", "target", *cpus])]
    lines.append(table_line(["---"] * 3 + ["---:"] * len(cpus)))
    for (name, rival), by_cpu in found.items():
        targets = ", ".join(next(iter(by_cpu.values()))["targets"])
        cells = [_cell(by_cpu[cpu]) if cpu in by_cpu else UNMEASURED for cpu in cpus]
        lines.append(table_line([name, rival or "-", targets, *cells]))
    return "\n".join([*lines, "", _told(results, cpus)])


def _cell(row: Mapping[str, Any]) -> str:
    if row["ours"] is None:
        return UNMEASURED
    text = f"{spelt(row['ours'])} {row['unit']}"
    if row["ratio"] is not None:
        text = f"{spelt(row['ratio'])}x ({text})"
    return text if row["is_met"] or not row["targets"] else f"**{text}**"


def _told(results: Sequence[Mapping[str, Any]], cpus: Sequence[str]) -> str:
    """Of which code the figures of each processor are."""
    told = []
    for cpu in cpus:
        commits = [each["code"]["commit"] for each in results if each["machine"]["cpu"] == cpu]
        told.append(f"{cpu} by the code of {', '.join(dict.fromkeys(commits))}")
    return f"Measured: {'; '.join(told)}. Bold: misses its target."


def table_of(results: Sequence[Path]) -> str:
    """The table of files."""
    return processors_table([read_json(path) for path in sorted(results)])


def main(page: str, *results: str) -> None:
    """Write the table into the page."""
    path = Path(page)
    table = table_of([Path(each) for each in results])
    text = with_table(path.read_text(encoding="utf-8"), PLACE, table)
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
