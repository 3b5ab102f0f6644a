"""The stage audit: flows and robots of every kind, and one sentence for what is wrong."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import TypeAdapter, ValidationError
from small_priors import FLOWS, small_prior
from small_shards import made_up_episode, write_made_up, write_shards
from typer.testing import CliRunner, Result

from cli.main import app
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.seal import check_seal
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_models.audit import Audit, AuditParams, audit
from tests.specs import ONE_IMAGE, SPECS, VECTORS_ALONE, spec_of

ROOT = Path(__file__).parents[2]
PARAMS = AuditParams(latent_bounds=[1.0, 2.0], num_worst=3, tasks=[], num_episodes=2, seed=0)
FILES = {"metrics.json", "config.json", "audit.png", "audit.txt", "SHA256SUMS"}
TOY = {"name": "tests.toy_world:make_world", "kwargs": {}}
TASKS = ["reach-near", "reach-far"]


class KilledError(Exception):
    """Stands for a kill."""


def save_prior(folder: Path, spec: EpisodeSpec, flow: str = "affine", **lineage: Any) -> Path:
    folder.mkdir()
    small_prior(spec, flow).save(folder, lineage)
    return folder


def write_told(folder: Path, spec: EpisodeSpec) -> Path:
    """Demonstrations that hold what a robot is told alone."""
    return write_made_up(folder, spec.model_copy(update={"privileged": {}}))


def environment(values: dict[str, Any] = TOY) -> EnvironmentParams:
    return TypeAdapter(EnvironmentParams).validate_python(values)


def judged(
    tmp_path: Path, out: str = "audited", progress: Progress = silent, **changes: Any
) -> Audit:
    spec = make_world(environment()).spec
    prior, data = tmp_path / "prior", tmp_path / "demos"
    if not prior.exists():
        save_prior(prior, spec)
        write_told(data, spec)
    params = PARAMS.model_copy(update={"tasks": TASKS, **changes})
    return audit(params, prior, data, tmp_path / out, environment=environment(), progress=progress)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("name", SPECS)
def test_a_prior_of_any_robot_is_audited(name: str, flow: str, tmp_path: Path) -> None:
    prior = save_prior(tmp_path / "prior", SPECS[name], flow)
    data = write_made_up(tmp_path / "demos", SPECS[name])
    found = audit(PARAMS, prior, data, tmp_path / "audited")
    width = SPECS[name].action.dim
    assert found.metrics["num_episodes"] == 6
    assert found.metrics["num_transitions"] == 31
    assert len(found.metrics["latents"]["mean"]) == width
    assert [len(row["by_dimension"]) for row in found.metrics["within"]] == [width, width]
    assert len(found.metrics["least_likely"]) == 3
    assert "rollouts" not in found.metrics
    written = files_of(tmp_path / "audited")
    assert written.keys() == FILES
    assert json.loads(written["metrics.json"]) == found.metrics
    assert written["audit.png"] == found.figure
    assert written["audit.txt"].decode() == found.text + "\n"
    assert "6 demonstrations of 31 steps" in found.text
    assert ("if all actions were as likely" in found.text) == (SPECS[name].action.low is not None)


def test_one_demonstration_is_enough(tmp_path: Path) -> None:
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE)
    data = write_made_up(tmp_path / "demos", VECTORS_ALONE, [1])
    found = audit(PARAMS, prior, data, None)
    assert found.metrics["num_transitions"] == len(found.metrics["least_likely"]) == 1
    assert {path.name for path in tmp_path.iterdir()} == {"prior", "demos"}


def test_it_is_said_what_the_prior_s_own_data_were(tmp_path: Path) -> None:
    data = write_made_up(tmp_path / "demos", VECTORS_ALONE)
    sha256 = sha256_file(data / "manifest.json")
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE, data_manifest_sha256=sha256)
    (prior / "metrics.json").write_text('{"log_prob_per_dim": 0.71}')
    found = audit(PARAMS, prior, data, None)
    assert found.metrics["is_training_data"] is True
    assert found.metrics["held_out_log_prob_per_dim"] == 0.71
    assert "0.71 on its own held-out episodes" in found.text
    assert "trained on these very data" in found.text
    other = write_made_up(tmp_path / "others", VECTORS_ALONE, [4, 4])
    assert audit(PARAMS, prior, other, None).metrics["is_training_data"] is False


def write_tasks(folder: Path, spec: EpisodeSpec, tasks: Sequence[str]) -> Path:
    """Demonstrations, one of each task named."""
    spec = spec.model_copy(update={"privileged": {}})
    episodes = [
        replace(made_up_episode(spec, place, 4 + place), task=task)
        for place, task in enumerate(tasks)
    ]
    return write_shards(folder, episodes, spec)


def table_of(text: str, task: str) -> list[str]:
    """Cells of a task's row in the table of tasks."""
    table = text.partition("By task: ")[2]
    (line,) = (line for line in table.splitlines() if line.startswith(f"{task} "))
    return line.split()


def test_demonstrations_of_several_tasks_are_measured_by_task(tmp_path: Path) -> None:
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE)
    tasks = ["push", "reach", "push"]
    several = write_tasks(tmp_path / "demos", VECTORS_ALONE, tasks)
    found = audit(PARAMS.model_copy(update={"num_worst": 1}), prior, several, None)
    assert list(found.metrics["tasks"]) == ["push", "reach"]
    whole = found.metrics.keys() - {"tasks", "held_out_log_prob_per_dim", "is_training_data"}
    for task, measured in found.metrics["tasks"].items():
        assert measured.keys() == whole
        cells = [f"{row['all']:.2f}" for row in measured["within"]]
        likelihood = f"{measured['log_prob_per_dim']:.2f}"
        num = str(tasks.count(task))
        assert [task, num, likelihood, *cells] in [line.split() for line in found.text.splitlines()]
    one = write_tasks(tmp_path / "one", VECTORS_ALONE, ["push", "push"])
    assert "By task" not in audit(PARAMS, prior, one, None).text


def test_a_task_without_demonstrations_has_dashes_beside_what_was_acted(tmp_path: Path) -> None:
    spec = make_world(environment()).spec
    save_prior(tmp_path / "prior", spec)
    write_tasks(tmp_path / "demos", spec, ["reach-near", "fly"])
    found = judged(tmp_path)
    assert table_of(found.text, "reach-far")[1:5] == ["-"] * 4
    assert table_of(found.text, "fly")[-3:] == ["-"] * 3
    assert "-" not in table_of(found.text, "reach-near")
    assert "(mean over 2 tasks)" in found.text.splitlines()[-1]


def test_with_a_world_the_untrained_prior_acts_in_the_named_tasks(tmp_path: Path) -> None:
    found = judged(tmp_path)
    check_seal(tmp_path / "audited", "parrot audit")
    rollouts = found.metrics["rollouts"]
    assert list(rollouts) == TASKS
    for rates in rollouts.values():
        assert rates.keys() == {"sampled", "mode", "random"}
        assert all(0.0 <= each["success_rate"] <= 1.0 for each in rates.values())
    assert "Success of the untrained prior" in found.text
    assert json.loads((tmp_path / "audited" / "config.json").read_text())["params"].keys() == {
        "audit", "environment",
    }  # fmt: skip


@pytest.mark.parametrize("call", [2, 8, 11])
def test_a_killed_audit_ends_in_the_same_bytes(call: int, tmp_path: Path) -> None:
    calls: list[int] = []

    def kill(*_told: object) -> None:
        calls.append(0)
        if len(calls) == call:
            raise KilledError

    judged(tmp_path)
    with pytest.raises(KilledError):
        judged(tmp_path, "killed", kill)
    judged(tmp_path, "killed")
    assert files_of(tmp_path / "killed") == files_of(tmp_path / "audited")


def test_tasks_that_the_world_does_not_have_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"audit\.tasks names 'fly', which is no task of the world"):
        judged(tmp_path, tasks=["fly"])
    with pytest.raises(UserError, match="demos has demonstrations of 'reach', which is no task"):
        judged(tmp_path, tasks=[])
    assert not (tmp_path / "audited").exists()


def test_a_world_of_another_robot_is_named(tmp_path: Path) -> None:
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE)
    data = write_made_up(tmp_path / "demos", VECTORS_ALONE)
    with pytest.raises(UserError, match=r"prior was trained on other data .* observations\.goal"):
        audit(PARAMS, prior, data, None, environment=environment())


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (ONE_IMAGE, r"observations\.camera: uint8 .* against none"),
        (spec_of(vectors={"state": 6, "goal": 3}), r"observations\.state: .* against"),
        (spec_of(vectors={"state": 5, "goal": 3}, action_dim=3), r"action\.dim: 4 against 3"),
        (spec_of(vectors={"state": 5, "goal": 3}, bounds=(-2.0, 2.0)), "bounds of the action"),
    ],
)
def test_demonstrations_of_another_robot_are_refused_by_field(
    spec: EpisodeSpec, words: str, tmp_path: Path
) -> None:
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE)
    data = write_made_up(tmp_path / "demos", spec)
    words = words.replace("uint8 .* against none", "none against uint8")
    with pytest.raises(UserError, match=f"demos holds other data than .*prior was .*{words}"):
        audit(PARAMS, prior, data, tmp_path / "audited")
    assert not (tmp_path / "audited").exists()


@pytest.mark.parametrize(
    ("lacking", "words"),
    [("prior", "config.json is missing: .*train-prior"), ("demos", "manifest.json is missing: ")],
)
def test_a_folder_that_is_none_is_named(lacking: str, words: str, tmp_path: Path) -> None:
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE)
    data = write_made_up(tmp_path / "demos", VECTORS_ALONE)
    (tmp_path / "empty").mkdir()
    folders = {"prior": prior, "demos": data, lacking: tmp_path / "empty"}
    with pytest.raises(UserError, match=words):
        audit(PARAMS, folders["prior"], folders["demos"], tmp_path / "audited")


def test_what_is_not_its_own_is_not_replaced(tmp_path: Path) -> None:
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE)
    data = write_made_up(tmp_path / "demos", VECTORS_ALONE)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("mine")
    with pytest.raises(UserError, match=r"mine holds thesis.txt, which is no output of `parrot au"):
        audit(PARAMS, prior, data, tmp_path / "mine")
    first = audit(PARAMS, prior, data, tmp_path / "audited")
    assert audit(PARAMS, prior, data, tmp_path / "audited") == first, "its own is"


@pytest.mark.parametrize(
    "changes",
    [
        {"latent_bounds": []}, {"latent_bounds": [2.0, 1.0]}, {"latent_bounds": [1.0, 1.0]},
        {"latent_bounds": [0.0]}, {"num_worst": 0}, {"tasks": ["a", "a"]}, {"num_episodes": 0},
    ],
)  # fmt: skip
def test_params_that_mean_nothing_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AuditParams.model_validate({**PARAMS.model_dump(), **changes})


def parrot(*arguments: str | Path) -> Result:
    params = ("--params", ROOT / "params.yaml", "--threads", "1")
    return CliRunner().invoke(app, [str(argument) for argument in (*arguments, *params)])


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE)
    data = write_made_up(tmp_path / "demos", VECTORS_ALONE)
    printed = parrot("audit", prior, "--data", data)
    assert printed.exit_code == 0, printed.output
    assert "|z| <= 1.5" in printed.stdout
    written = parrot("audit", prior, "--data", data, "--out", tmp_path / "audited")
    assert written.exit_code == 0, written.output
    assert written.stdout.startswith(printed.stdout.rstrip())
    assert files_of(tmp_path / "audited").keys() == FILES
    shown = CliRunner().invoke(app, ["info", str(tmp_path / "audited")])
    assert "audited: audit of a prior" in shown.stdout


def test_the_command_acts_in_the_world_of_params(tmp_path: Path) -> None:
    spec = make_world(environment()).spec
    prior, data = save_prior(tmp_path / "prior", spec), write_told(tmp_path / "demos", spec)
    values = {
        "environment": TOY, "generate.tasks": {"reach-near": 1.0}, "audit.tasks": ["reach-near"],
        "audit.num_episodes": 1,
    }  # fmt: skip
    overrides = [
        part
        for key, value in values.items()
        for part in ("--set", f"{key}={yaml.safe_dump(value, default_flow_style=True).strip()}")
    ]
    overrides = [part.removesuffix("\n...") for part in overrides]
    done = parrot("audit", prior, "--data", data, "--judge", *overrides)
    assert done.exit_code == 0, done.output
    assert "Success of the untrained prior" in done.stdout


def test_a_mistake_is_one_sentence(tmp_path: Path) -> None:
    prior = save_prior(tmp_path / "prior", VECTORS_ALONE)
    data = write_made_up(tmp_path / "demos", ONE_IMAGE)
    done = parrot("audit", prior, "--data", data)
    assert done.exit_code == 1
    assert done.stderr.count("error: ") == 1
    assert "observations.camera" in done.stderr
    assert "Traceback" not in done.output
