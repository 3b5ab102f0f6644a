"""The table of docs/scale.md is arithmetic: no number of it is by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.scale_table import PLACE, ROWS, UNMEASURED, scale_table, table_of
from benchmarks.table import with_table
from parrot_data.errors import UserError

ROOT = Path(__file__).parents[2]
ABOUT = {"machine": {"cpu": "some"}, "code": {"commit": "abc"}}


def test_the_page_has_the_table_of_the_committed_results() -> None:
    page = (ROOT / "docs" / "scale.md").read_text()
    results = sorted((ROOT / "benchmarks" / "results").glob("amd-epyc*/results.json"))
    assert page == with_table(page, PLACE, table_of(ROOT / "params.yaml", results)), (
        "python -m benchmarks.scale_table params.yaml docs/scale.md "
        "benchmarks/results/amd-epyc*/results.json"
    )


def test_costs_and_sizes_grow_with_the_episodes() -> None:
    rows = [{"name": source, "ours": 36.0} for _, source, _ in ROWS]
    rows.append({"name": "size, a file in a manifest", "ours": 200.0})
    lines = scale_table([{**ABOUT, "rows": rows}], 100).splitlines()
    assert "| raw episodes | 360 kB | 3.6 MB | 36 MB | 360 MB | 3.6 GB |" in lines
    assert "| generate, one core | 6 min | 1 h | 10 h | 100 h | 1,000 h |" in lines
    assert any("33,554,400 episodes of 100 a file" in line for line in lines)


def test_what_was_not_measured_is_said() -> None:
    table = scale_table([{**ABOUT, "rows": []}], 100)
    assert table.count(UNMEASURED) == 5 * (len(ROWS) + 1) + 1


def test_costs_of_several_processors_are_not_added_up() -> None:
    other = {**ABOUT, "machine": {"cpu": "another"}, "rows": []}
    with pytest.raises(UserError, match="another, some"):
        scale_table([{**ABOUT, "rows": []}, other], 100)


def test_a_page_without_a_place_is_one_sentence() -> None:
    with pytest.raises(UserError, match="no place for the table"):
        with_table("# Scale\n", PLACE, "")
