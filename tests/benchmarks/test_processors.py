"""Processors stand side by side as they were measured, and no number of it is by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from benchmarks.processors import PLACE, processors_table, table_of
from benchmarks.table import with_table

ROOT = Path(__file__).parents[2]


def test_the_page_has_the_table_of_the_committed_results() -> None:
    page = (ROOT / "docs" / "performance.md").read_text()
    folder = ROOT / "benchmarks" / "results"
    results = [folder / "results.json", *sorted(folder.glob("amd-epyc*/results.json"))]
    assert page == with_table(page, PLACE, table_of(results)), (
        "python -m benchmarks.processors docs/performance.md benchmarks/results/results.json "
        "benchmarks/results/amd-epyc*/results.json"
    )


def row(name: str, ratio: float | None, is_met: bool = True, **more: Any) -> dict[str, Any]:
    values = {"name": name, "ratio": ratio, "is_met": is_met, "ours": 2.0, "group": "sac"}
    return {**values, "rival": "a rival", "unit": "s", "targets": [">= 3x"], **more}


def result(cpu: str, commit: str, *rows: dict[str, Any]) -> dict[str, Any]:
    return {"machine": {"cpu": cpu}, "code": {"commit": commit}, "rows": list(rows)}


def test_each_processor_has_a_column_and_a_miss_is_bold() -> None:
    table = processors_table(
        [
            result("one", "a", row("fast", 4.0), row("slow", 1.0, is_met=False)),
            result("other", "b", row("fast", 3.5), row("alone", None, targets=[])),
        ]
    ).splitlines()
    assert table[0] == "| what | against | target | one | other |"
    assert "| fast | a rival | >= 3x | 4x (2 s) | 3.5x (2 s) |" in table
    assert "| slow | a rival | >= 3x | **1x (2 s)** | - |" in table
    assert "| alone | a rival |  | - | 2 s |" in table
    assert table[-1].startswith("Measured: one by the code of a; other by the code of b.")


def test_the_later_of_two_results_counts_and_growth_is_left_out() -> None:
    growth = row("size", 1.0, group="growth")
    results = [result("one", "a", row("fast", 4.0), growth), result("one", "b", row("fast", 5.0))]
    table = processors_table(results)
    assert "5x" in table
    assert "4x" not in table
    assert "size" not in table
    assert "one by the code of a, b" in table


def test_what_failed_is_no_figure() -> None:
    failed = row("fast", None, is_met=False, ours=None)
    assert "| - |" in processors_table([result("one", "a", failed)])
