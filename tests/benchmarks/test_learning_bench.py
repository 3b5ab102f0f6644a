"""Curves are compared at equal steps and at equal time; a finished run is never run again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks import learning
from benchmarks.learning import VARIANTS, Runs, measure_learning, variant_of
from benchmarks.learning_table import Learned, learning_page
from cli.bench import _values
from cli.params import Sections
from parrot_data.errors import UserError
from parrot_data.stores.publish import write_json
from parrot_models.methods.params import EvaluateParams

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "params.yaml"
FAST = Learned("fast", 0, 0.9, 400, 60.0, [(100 * i, 0.1 * i) for i in range(1, 9)])


def rows_of(page: str, heading: str) -> list[list[str]]:
    """Cells of the table under a heading, its head left out."""
    lines = page.split(heading)[1].split("\n## ", maxsplit=1)[0].splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("|")][2:]


def test_at_equal_time_a_costly_run_has_come_half_as_far() -> None:
    page = learning_page([FAST, replace(FAST, variant="image", cpu_s=120.0)], "pick", {})
    last = rows_of(page, "equal CPU time")[-1]
    assert [cell[:4] for cell in last[1:]] == ["0.80", "0.40"]
    last = rows_of(page, "equal steps")[-1]
    assert [cell[:4] for cell in last[1:]] == ["0.80", "0.80"]


def test_a_band_spans_its_seeds() -> None:
    other = replace(FAST, seed=1, curve=[(800, 0.2)])
    page = learning_page([FAST, other], "pick", {})
    assert rows_of(page, "equal steps")[-1][1] == "0.50 (0.20 to 0.80)"


def test_fast_is_what_params_say() -> None:
    params = _values(PARAMS, None).finetune
    assert variant_of(params, "fast") == params
    assert len({variant_of(params, name).agent.model_dump_json() for name in VARIANTS}) == 3


def some_runs(folder: Path) -> Runs:
    evaluation = Sections(PARAMS, None)("evaluate", EvaluateParams)
    return Runs(_values(PARAMS, None), evaluation, folder / "prior", "some-task", folder / "runs")


def test_finished_runs_are_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seeds_run: list[int] = []

    def fake(*given: Any) -> None:
        *_, seed, out = given
        seeds_run.append(seed)
        out.mkdir(parents=True)
        write_json(out / "metrics.json", {"success_rate": 0.5, "steps_to_80": None})
        (out / "curve.csv").write_text("env_steps,success_rate\n25,0.5\n")

    monkeypatch.setattr(learning, "finetune", fake)
    for seeds in (1, 3):
        found = measure_learning(some_runs(tmp_path), ["fast"], seeds, 1, tmp_path / "out", ROOT)
    assert seeds_run == [0, 1, 2]
    assert [run.seed for run in found] == [0, 1, 2]


def test_an_unknown_variant_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'slow'"):
        measure_learning(some_runs(tmp_path), ["slow"], 1, 1, tmp_path / "out", ROOT)
