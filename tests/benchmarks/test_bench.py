"""Laws of a run: nothing measured is lost or repeated, a failure costs one row, quick runs all."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType

import pytest
from typer.testing import CliRunner

from benchmarks import bench as module
from benchmarks.bullet_calls import bare_loop, check_loop, recorded
from benchmarks.env_rows import replay, scripted_actions, three_object_env
from benchmarks.row import Figures, Row, at_least
from benchmarks.setting import QUICK, Setting, Values
from cli.bench import _values
from cli.main import app
from parrot_data.errors import UserError
from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.scene import SUBSTEPS

ROOT = Path(__file__).parents[2]
PARAMS = ROOT / "params.yaml"


@pytest.fixture(scope="module")
def values() -> Values:
    return _values(PARAMS, None)


def row(name: str, measure: object = lambda _: Figures(4.0, 2.0)) -> Row:
    return Row(name, "another", "1/s", (at_least(3.0),), measure)


def fails(error: BaseException) -> object:
    def measure(_: Setting) -> Figures:
        raise error

    return measure


def run(
    monkeypatch: pytest.MonkeyPatch, values: Values, out: Path, *rows: Row, again: bool = False
) -> dict:
    monkeypatch.setattr(module, "GROUPS", MappingProxyType({"some": rows}))
    module.bench(values, ROOT, out, None, is_quick=True, is_anew=again)
    return json.loads((out / "results.json").read_text())


def test_results_say_what_was_measured_where_and_of_which_code(
    monkeypatch: pytest.MonkeyPatch, values: Values, tmp_path: Path
) -> None:
    found = run(monkeypatch, values, tmp_path / "new" / "out", row("first"))
    assert found["rows"] == [
        {
            "group": "some",
            "name": "first",
            "rival": "another",
            "unit": "1/s",
            "ours": 4.0,
            "rivals": 2.0,
            "ratio": 2.0,
            "targets": [">= 3x"],
            "is_met": False,
            "note": "",
        }
    ]
    assert {"cpu", "cores", "memory_gb", "python", "torch", "numpy"} <= found["machine"].keys()
    assert {"commit", "is_clean"} == found["code"].keys()
    assert (
        "| first | another | 1/s | 4 | 2 | 2 | >= 3x | no |"
        in (tmp_path / "new" / "out" / "results.md").read_text().splitlines()
    )


def test_an_interrupted_run_keeps_the_rows_it_measured(
    monkeypatch: pytest.MonkeyPatch, values: Values, tmp_path: Path
) -> None:
    interrupted = row("third", fails(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run(monkeypatch, values, tmp_path, row("first"), row("second"), interrupted, row("last"))
    found = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [kept["name"] for kept in found] == ["first", "second"]
    assert "| second |" in (tmp_path / "results.md").read_text()


def test_ctrl_c_says_where_those_rows_are(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    rows = (row("first"), row("second", fails(KeyboardInterrupt())))
    monkeypatch.setattr(module, "GROUPS", MappingProxyType({"some": rows}))
    shown = CliRunner().invoke(app, ["bench", "--out", str(tmp_path), "--params", str(PARAMS)])
    assert shown.exit_code == 130
    assert f"error: interrupted; {tmp_path / 'results.md'}" in shown.stderr
    assert "| first |" in (tmp_path / "results.md").read_text()


def test_a_missing_rival_is_one_sentence_and_costs_no_other_row(
    monkeypatch: pytest.MonkeyPatch, values: Values, tmp_path: Path
) -> None:
    missing = row("against nflows", fails(ModuleNotFoundError("gone", name="nflows.flows")))
    harmed = row("harmed", fails(UserError("The data are gone: make them again.")))
    found = run(monkeypatch, values, tmp_path, missing, harmed, row("last"))["rows"]
    assert [(kept["ours"], kept["is_met"]) for kept in found] == [(None, None)] * 2 + [(4.0, False)]
    assert "nflows is not installed: run `pip install -e '.[bench]'" in found[0]["note"]
    assert found[1]["note"] == "The data are gone: make them again."


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ModuleNotFoundError("gone", name="parrot_models.gone"), "ModuleNotFoundError: gone"),
        (RuntimeError("dvc repro:\nbroken"), "RuntimeError: dvc repro: broken"),
        (AttributeError("no name", name="nflows"), "AttributeError: no name"),
    ],
)
def test_a_row_that_fails_is_said_with_its_traceback_and_costs_no_other(
    error: Exception,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    rows = (row("first"), row("broken", fails(error)), row("last"))
    monkeypatch.setattr(module, "GROUPS", MappingProxyType({"some": rows}))
    arguments = ["bench", "--quick", "--out", str(tmp_path), "--params", str(PARAMS)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 1
    assert "Traceback (most recent call last)" in shown.stderr
    assert "error: 1 of 3 rows failed (broken)" in shown.stderr
    found = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert [kept["ours"] for kept in found] == [4.0, None, 4.0]
    assert found[1]["note"] == f"It failed: {said}"


def test_a_row_that_was_measured_is_not_measured_again_unless_asked(
    monkeypatch: pytest.MonkeyPatch, values: Values, tmp_path: Path
) -> None:
    calls: list[str] = []

    def counted(name: str) -> Row:
        return row(name, lambda _: calls.append(name) or Figures(4.0, 2.0, "a note"))

    broken = row("second", fails(RuntimeError("no")))
    first = run(monkeypatch, values, tmp_path, counted("first"), broken)
    second = run(monkeypatch, values, tmp_path, counted("first"), counted("second"))
    assert calls == ["first", "second"]
    assert second["rows"][0] == first["rows"][0]
    run(monkeypatch, values, tmp_path, counted("first"), counted("second"), again=True)
    assert calls == ["first", "second"] * 2


def test_what_was_measured_of_other_values_or_machines_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, values: Values, tmp_path: Path
) -> None:
    run(monkeypatch, values, tmp_path, row("first"))
    failing = row("first", fails(RuntimeError("measured")))
    others = _values(PARAMS, ["finetune.batch_size=7"])
    found = run(monkeypatch, others, tmp_path, failing)
    assert found["rows"][0]["note"] == "It failed: RuntimeError: measured"
    run(monkeypatch, values, tmp_path, row("first"))
    monkeypatch.setattr(module, "describe_machine", lambda: {"cpu": "another"})
    assert run(monkeypatch, values, tmp_path, failing)["rows"][0]["ours"] is None


def test_a_row_whose_target_or_unit_has_changed_is_measured_again(
    monkeypatch: pytest.MonkeyPatch, values: Values, tmp_path: Path
) -> None:
    run(monkeypatch, values, tmp_path, row("first"))
    other = Row("first", "another", "1/h", (at_least(3.0),), lambda _: Figures(8.0, 2.0))
    assert run(monkeypatch, values, tmp_path, other)["rows"][0]["ours"] == 8.0


def test_nothing_is_imported_from_a_rival_before_its_row_is_measured() -> None:
    missing = dict.fromkeys(module.RIVALS)
    code = f"import sys; sys.modules.update({missing}); import benchmarks.bench"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_a_bare_loop_moves_the_world_as_the_environment_did(values: Values, tmp_path: Path) -> None:
    setting = Setting(values, QUICK, tmp_path, ROOT)
    actions, env = scripted_actions(setting), three_object_env(values)
    originals = dict(vars(bullet))
    replay(env, actions)
    with recorded() as calls:
        last = replay(env, actions)
    assert dict(vars(bullet)) == originals
    num_steps = sum(len(episode) for episode in actions)
    check_loop(calls, num_steps * SUBSTEPS, num_steps + len(actions))
    before = env.object_positions().tobytes(), last["image"].tobytes()
    bare_loop(calls)()
    image = env.scene.render(values.tabletop.image_size)
    assert (env.object_positions().tobytes(), image.tobytes()) == before
    with pytest.raises(RuntimeError, match="substeps"):
        check_loop(calls[:-1], num_steps * SUBSTEPS, num_steps + len(actions))
    env.close()


@pytest.mark.xdist_group("ray")
@pytest.mark.filterwarnings("ignore")  # of files that Ray leaves open
def test_quick_measures_every_row(tmp_path: Path) -> None:
    arguments = ["bench", "--quick", "--out", str(tmp_path), "--params", str(PARAMS)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 0, shown.output
    found = json.loads((tmp_path / "results.json").read_text())["rows"]
    assert len(found) == sum(map(len, module.GROUPS.values()))
    gone = [rival for rival in module.RIVALS if find_spec(rival) is None]
    for measured in found:
        if not any(f"rival {rival} is not installed" in measured["note"] for rival in gone):
            assert measured["ours"] >= 0, measured
            density_is_right = measured["is_met"] or measured["name"] != "flow density, fp32"
            assert density_is_right, "nflows with our weights must be the same density"
    gc.collect()


def test_unknown_rows_are_one_sentence(tmp_path: Path) -> None:
    arguments = ["bench", "--rows", "sak", "--out", str(tmp_path), "--params", str(PARAMS)]
    shown = CliRunner().invoke(app, arguments)
    assert shown.exit_code == 1
    assert shown.stderr.count("error: ") == 1
    assert "'sak'" in shown.stderr
    assert "sac" in shown.stderr
