"""The page of a run shows what lies in its folder, and demonstrations of its task alone."""

from __future__ import annotations

import base64
import dataclasses
import json
import re
from pathlib import Path

import pytest
import yaml
from checkout import ROOT, TINY, changed
from typer.testing import CliRunner

from cli.main import app
from parrot_data.errors import UserError
from parrot_data.worlds.params import OwnWorldParams
from parrot_models.finetune import FinetuneParams, finetune
from parrot_models.methods.params import EvaluateParams
from parrot_models.view_run import view_run
from tests.parrot_data.synthetic import SPECS, synthetic_episodes, write_raw
from tests.parrot_models.small_parts import save_part
from tests.toy_world import make_world

TASK = "reach-near"
ENVIRONMENT = OwnWorldParams(
    name="tests.toy_world:make_world", kwargs={"max_steps": 12, "action_dim": 2}
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    values = changed(yaml.safe_load((ROOT / "params.yaml").read_text()), TINY)["finetune"]
    values |= {"tasks": [TASK], "env_steps": 60, "warmup_steps": 20, "video_episodes": 1}
    values["agent"] |= {"hidden": [16]}
    save_part("prior", make_world(**ENVIRONMENT.kwargs).spec, folder / "prior")
    finetune(
        FinetuneParams.model_validate(values), EvaluateParams(seed=7, num_episodes=12),
        ENVIRONMENT, folder / "prior", TASK, "sac", 0, folder / "run",
    )  # fmt: skip
    return folder / "run"


def images_in(page: Path) -> list[tuple[str, bytes]]:
    found = re.findall(r'src="data:image/(\w+);base64,([^"]+)"', page.read_text())
    return [(kind, base64.b64decode(content)) for kind, content in found]


def test_a_page_holds_the_runs_curve_film_and_numbers(run: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["view", str(run), "--out", str(tmp_path / "page")])
    assert done.exit_code == 0, done.output
    page = tmp_path / "page" / "index.html"
    assert [kind for kind, _ in images_in(page)] == ["png", "gif"]
    assert images_in(page)[1][1] == (run / "video.gif").read_bytes()
    assert not re.search(r"https?:|@import|fetch\(|src=\"(?!data:)", page.read_text())
    before = page.read_bytes()
    view_run(run, tmp_path / "page")
    assert page.read_bytes() == before


def test_the_evaluation_is_told_episode_by_episode(run: Path, tmp_path: Path) -> None:
    successes = json.loads((run / "evaluation.json").read_text())["successes"]
    view_run(run, tmp_path / "page")
    page = (tmp_path / "page" / "index.html").read_text()
    assert f"{sum(successes)} of the 12 episodes" in page
    (marks,) = re.findall(r">([✓✗ ]+)</p>", page)
    assert [mark == "✓" for mark in marks.replace(" ", "")] == successes
    assert [len(ten) for ten in marks.split(" ")] == [10, 2]


def test_demonstrations_of_the_family_stand_in_for_the_tasks(run: Path, tmp_path: Path) -> None:
    spec = SPECS["tabletop-like"]
    raw = write_raw(tmp_path / "raw", synthetic_episodes(8, spec=spec), spec)
    for families, wanted in [({TASK: "pick"}, True), ({"other": "pick"}, False), (None, False)]:
        summary = view_run(run, tmp_path / "page", dataset=raw, families=families)
        page = (tmp_path / "page" / "index.html").read_text()
        assert (summary["num_demonstrations"] > 0) == wanted
        assert ("successful episodes of pick in the data" in page) == wanted
        assert ("their successes are at pick, place" in page) != wanted
    families = {TASK: "lift"}
    view_run(run, tmp_path / "page", dataset=raw, families=families)
    assert (
        f"no successful episode of {TASK} or lift;"
        in (tmp_path / "page" / "index.html").read_text()
    )


def test_demonstrations_are_successes_of_the_task(run: Path, tmp_path: Path) -> None:
    spec = SPECS["tabletop-like"]
    episodes = synthetic_episodes(8, spec=spec)
    other = write_raw(tmp_path / "other", episodes, spec)
    assert view_run(run, tmp_path / "page", dataset=other)["num_demonstrations"] == 0
    assert "hold no successful episode" in (tmp_path / "page" / "index.html").read_text()
    of_task = [dataclasses.replace(e, task=TASK if e.index < 6 else e.task) for e in episodes]
    same = write_raw(tmp_path / "same", of_task, spec)
    wanted = sum(e.success for e in of_task if e.task == TASK)
    assert 0 < wanted < 6
    assert view_run(run, tmp_path / "page", dataset=same)["num_demonstrations"] == wanted
    assert [kind for kind, _ in images_in(tmp_path / "page" / "index.html")] == [
        "png",
        "gif",
        "png",
    ]


def test_a_changed_run_is_refused(run: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in run.iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    (copy / "curve.csv").write_text("env_steps,success_rate,num_episodes\n0,1,20\n")
    with pytest.raises(UserError, match=r"curve\.csv"):
        view_run(copy, tmp_path / "page")


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--format", "rerun"], "is a run"),
        (["--rollouts", "3"], "is for a prior"),
        (["--format", "movie"], "none of page, rerun"),
    ],
)
def test_what_a_run_cannot_be_is_told(
    run: Path, tmp_path: Path, arguments: list[str], word: str
) -> None:
    out = str(tmp_path / "page")
    done = CliRunner().invoke(app, ["view", str(run), "--out", out, *arguments])
    assert (done.exit_code, word in done.stderr) == (1, True)
    assert not (tmp_path / "page").exists()
