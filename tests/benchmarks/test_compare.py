"""Laws of a comparison: what worse means of a rate and of a cost, and that nothing is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from benchmarks.compare import compare
from cli.main import app
from parrot_data.errors import UserError
from parrot_data.stores.publish import write_json


def row(ours: float | None, target: str = ">= 3x", **more: Any) -> dict[str, Any]:
    values = {"name": "speed", "rival": "another", "unit": "1/s", "rivals": 1.0}
    return {**values, "ours": ours, "targets": [target], **more}


def written(path: Path, *rows: dict[str, Any], cpu: str = "one") -> Path:
    write_json(path, {"code": {}, "machine": {"cpu": cpu, "cores": 2}, "rows": list(rows)})
    return path


def files(folder: Path, before: dict[str, Any], after: dict[str, Any]) -> tuple[Path, Path]:
    return written(folder / "before.json", before), written(folder / "after.json", after)


@pytest.mark.parametrize(
    ("target", "unit", "before", "after", "verdict"),
    [
        (">= 3x", "1/s", 110.0, 100.0, "as before"),
        (">= 3x", "1/s", 112.0, 100.0, "worse"),
        (">= 3x", "1/s", 100.0, 112.0, "better"),
        ("<= 3x", "s", 100.0, 110.0, "as before"),
        ("<= 3x", "s", 100.0, 112.0, "worse"),
        ("<= 3x", "s", 112.0, 100.0, "better"),
        ("<= 1.2x + 16", "MB", 1.0, 4.0, "as before"),
        ("<= 1.2x + 16", "MB", 1.0, 6.0, "worse"),
        ("<= 0.001", "nats", 0.0, 1e-5, "as before"),
        (">= 3x", "1/s", 1.0, None, "only before"),
        (">= 3x", "1/s", None, 1.0, "only after"),
    ],
)
def test_worse_is_slower_or_dearer_by_more_than_the_tolerance(
    target: str,
    unit: str,
    before: float | None,
    after: float | None,
    verdict: str,
    tmp_path: Path,
) -> None:
    rows = (row(figure, target, unit=unit) for figure in (before, after))
    (change,) = compare(*files(tmp_path, *rows), 0.1)
    assert change.verdict == verdict


def test_a_row_of_one_file_alone_is_there_too(tmp_path: Path) -> None:
    changes = compare(*files(tmp_path, row(1.0, name="old"), row(1.0, name="new")), 0.1)
    assert [(c.name, c.verdict) for c in changes] == [("old", "only before"), ("new", "only after")]


def test_rows_of_one_name_against_two_rivals_are_two(tmp_path: Path) -> None:
    rows = (row(1.0, rival="a"), row(2.0, rival="b"))
    before, after = (written(tmp_path / name, *rows) for name in ("before", "after"))
    assert [change.change for change in compare(before, after, 0.1)] == [1.0, 1.0]


def test_the_command_names_what_is_worse(tmp_path: Path) -> None:
    before, after = files(tmp_path, row(2.0), row(1.0))
    shown = CliRunner().invoke(app, ["bench-compare", str(before), str(after)])
    assert shown.exit_code == 1
    assert "error: 1 of 1 rows are worse by more than 10 % (speed)" in shown.stderr
    assert CliRunner().invoke(app, ["bench-compare", str(after), str(before)]).exit_code == 0


@pytest.mark.parametrize("text", [None, "", "[]", '{"rows": []}', '{"machine": {}, "rows": [{}]}'])
def test_what_is_no_results_file_is_one_sentence(text: str | None, tmp_path: Path) -> None:
    path, whole = tmp_path / "a.json", written(tmp_path / "whole.json", row(1.0))
    if text is not None:
        path.write_text(text)
    with pytest.raises(UserError, match=r"a\.json"):
        compare(path, whole, 0.1)


def test_two_machines_are_not_compared(tmp_path: Path) -> None:
    before = written(tmp_path / "before.json", row(1.0))
    after = written(tmp_path / "after.json", row(1.0), cpu="another")
    with pytest.raises(UserError, match="measure both on one"):
        compare(before, after, 0.1)
