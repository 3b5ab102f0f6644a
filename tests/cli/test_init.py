"""`parrot init`: every stage reads what it writes, and what it did not make it leaves alone."""

from __future__ import annotations

import contextlib
import subprocess
from pathlib import Path

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner, Result

from cli.main import app
from cli.params import Sections
from cli.project_lock import check_locked, code_hashes
from cli.project_params import MARK, params_text
from cli.project_pipeline import PACKAGES, Shape, code_deps, stages_of
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.publish import sha256_file
from parrot_models.prior.architecture import prior_architecture
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.params import TrainPriorParams
from parrot_models.training.augment import augmentation_of
from tests.parrot_models.small_shards import made_up_episode, write_shards
from tests.specs import SPECS, VECTORS_ALONE

FILES = ("params.yaml", "dvc.yaml", "parrot.lock", "README.md", ".gitignore", ".dvcignore")


def call(*arguments: str) -> Result:
    return CliRunner().invoke(app, ["init", *arguments])


def make(*arguments: str) -> str:
    done = call(*arguments)
    assert done.exit_code == 0, done.output
    return done.output


def refused(*arguments: str) -> str:
    done = call(*arguments)
    assert done.exit_code == 1, done.output
    (line,) = done.stderr.splitlines()
    return line


def write_dataset(folder: Path, kind: str, spec: EpisodeSpec = VECTORS_ALONE) -> Path:
    """A small dataset of a kind, in a folder of that name."""
    folder.mkdir(parents=True, exist_ok=True)
    if kind == "shards":
        episodes = [made_up_episode(spec, index, 3) for index in range(2)]
        return write_shards(folder / kind, episodes, spec)
    rows = {"observations": np.eye(6), "actions": np.eye(6), "terminals": np.arange(6) % 3 == 2}
    np.savez(folder / "rows.npz", **{k: v.astype(np.float32) for k, v in rows.items()})
    options = ("--format", "npz", "--task", "reach", "--out", str(folder / kind))
    done = CliRunner().invoke(app, ["import", str(folder / "rows.npz"), *options])
    assert done.exit_code == 0, done.output
    return folder / kind


def contents(folder: Path) -> dict[str, bytes]:
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in paths}


@pytest.mark.parametrize("name", ["tabletop", "gymnasium", "metaworld", "my_robot:World"])
def test_every_stage_reads_the_params_of_every_environment(name: str, tmp_path: Path) -> None:
    printed = make(str(tmp_path / "a"), "--environment", name)
    assert Sections(tmp_path / "a/params.yaml").environment().name == name
    text = (tmp_path / "a/params.yaml").read_text()
    assert (MARK in text) != (name in ("tabletop", "metaworld"))
    marked = sum(MARK in line for line in text.splitlines())
    assert printed.count("to fill in") == marked, "what is marked is also said"
    stages = yaml.safe_load((tmp_path / "a/dvc.yaml").read_text())["stages"]
    assert ("generate" in stages) == (name != "gymnasium"), "a world without scripts makes no data"
    assert "finetune" in stages


def test_an_unknown_environment_is_refused_and_nothing_written(tmp_path: Path) -> None:
    assert "tabeltop" in refused(str(tmp_path / "a"), "--environment", "tabeltop")
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_there_is_named_and_left(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine\n")
    before = contents(tmp_path)
    expected = "--upgrade" if name == "parrot.lock" else name
    assert expected in refused(str(tmp_path))
    assert contents(tmp_path) == before


def test_a_project_is_not_made_again(tmp_path: Path) -> None:
    make(str(tmp_path))
    before = contents(tmp_path)
    assert "--upgrade" in refused(str(tmp_path), "--environment", "gymnasium")
    assert contents(tmp_path) == before


def test_what_else_lies_there_stays_and_repositories_are_used(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    (tmp_path / "notes.txt").write_text("mine\n")
    (tmp_path / "inner").mkdir()
    make(str(tmp_path / "inner"))
    assert (tmp_path / "notes.txt").read_text() == "mine\n"
    assert not (tmp_path / "inner/.git").exists()
    assert (tmp_path / "inner/.dvc/config").exists()


def test_patterns_that_are_there_already_suffice(tmp_path: Path) -> None:
    make(str(tmp_path / "a"))
    (tmp_path / "b").mkdir()
    mine = (tmp_path / "a/.gitignore").read_text() + "*.mp4\n"
    (tmp_path / "b/.gitignore").write_text(mine)
    make(str(tmp_path / "b"))
    assert (tmp_path / "b/.gitignore").read_text() == mine


@pytest.mark.parametrize("kind", ["episodes", "shards"])
def test_a_dataset_from_elsewhere_is_copied_and_the_pipeline_begins_with_it(
    kind: str, tmp_path: Path
) -> None:
    write_dataset(tmp_path, kind)
    make(str(tmp_path / "a"), "--from", str(tmp_path / kind))
    copied = tmp_path / "a/data" / kind
    assert contents(copied) == contents(tmp_path / kind)
    assert copied.with_name(f"{kind}.dvc").exists()
    stages = yaml.safe_load((tmp_path / "a/dvc.yaml").read_text())["stages"]
    begins = {"episodes": "filter", "shards": "train_prior"}[kind]
    assert next(iter(stages)) == begins
    assert "audit" in stages
    assert not {"generate", "judge", "finetune"} & stages.keys()
    Sections(tmp_path / "a/params.yaml")


def test_a_dataset_in_the_project_stays_where_it_is(tmp_path: Path) -> None:
    write_dataset(tmp_path / "a/mine", "shards")
    make(
        str(tmp_path / "a"), "--from", str(tmp_path / "a/mine/shards"), "--environment", "gymnasium"
    )
    pipeline = yaml.safe_load((tmp_path / "a/dvc.yaml").read_text())
    assert pipeline["stages"]["train_prior"]["deps"] == ["mine/shards"]
    assert "--data mine/shards " in pipeline["stages"]["train_prior"]["cmd"]
    assert not (tmp_path / "a/data").exists()


@pytest.mark.parametrize("environment", [None, "gymnasium", "my_robot:World"])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_a_prior_of_the_data_can_be_built(
    spec: EpisodeSpec, environment: str | None, tmp_path: Path
) -> None:
    path = tmp_path / "params.yaml"
    path.write_text(params_text(environment, spec, ["reach"]))
    read = Sections(path)
    params, keypoints = read("train_prior", TrainPriorParams), read.keypoints()
    assert (keypoints.kind == "reconstruction") == bool(spec.images)
    augmentation_of(params.augment, spec, "train_prior")
    BehavioralPrior(prior_architecture(params, keypoints, spec))


def test_what_is_no_dataset_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    assert "manifest.json" in refused(str(tmp_path / "a"), "--from", str(tmp_path / "data"))
    assert not (tmp_path / "a").exists()


def test_own_code_beside_the_params_makes_what_acts_stale(tmp_path: Path) -> None:
    (tmp_path / "my_robot.py").write_text("World = None\n")
    make(str(tmp_path), "--environment", "my_robot:World")
    stages = yaml.safe_load((tmp_path / "dvc.yaml").read_text())["stages"]
    having = {name for name, stage in stages.items() if "my_robot.py" in stage.get("deps", ())}
    assert having == {"generate", "judge", "finetune"}


def test_every_stage_hangs_on_its_entry_of_the_lock_and_on_no_sources() -> None:
    for begins in ("generate", "filter", "train_prior"):
        for acts in (True, False):
            for name, stage in stages_of(Shape(begins, acts)).items():
                assert {"parrot.lock": [f"stages.{name}"]} in stage["params"]
                assert not [dep for dep in stage.get("deps", ()) if dep.startswith(PACKAGES)]
                assert code_deps()[name]
                assert name in code_hashes()


def test_an_upgrade_writes_the_pipeline_anew_unless_it_was_edited(tmp_path: Path) -> None:
    make(str(tmp_path))
    path, lock = tmp_path / "dvc.yaml", tmp_path / "parrot.lock"
    whole = path.read_text()
    # As an older Parrot would have left both
    path.write_text(whole.replace("desc: Keep", "desc: Kept"))
    values = yaml.safe_load(lock.read_text())
    values["stages"]["report"] = "0" * 64
    lock.write_text(yaml.safe_dump({**values, "dvc_yaml_sha256": sha256_file(path)}))
    make(str(tmp_path), "--upgrade")
    assert path.read_text() == whole
    assert yaml.safe_load(lock.read_text())["stages"] == code_hashes()
    path.write_text(f"{whole}# mine\n")
    done = call(str(tmp_path), "--upgrade")
    assert "dvc.yaml was edited" in done.stderr
    assert path.read_text() == f"{whole}# mine\n"


def test_an_upgrade_says_which_params_are_missing(tmp_path: Path) -> None:
    make(str(tmp_path))
    params = yaml.safe_load((tmp_path / "params.yaml").read_text())
    del params["film"]
    (tmp_path / "params.yaml").write_text(yaml.safe_dump(params))
    done = call(str(tmp_path), "--upgrade")
    assert done.exit_code == 0
    assert "film" in done.stderr


def test_what_is_no_project_is_not_upgraded(tmp_path: Path) -> None:
    assert "parrot.lock is missing" in refused(str(tmp_path), "--upgrade")
    (tmp_path / "parrot.lock").write_text("mine: true\n")
    assert "no lock" in refused(str(tmp_path), "--upgrade")
    assert (tmp_path / "parrot.lock").read_text() == "mine: true\n"


def test_a_lock_of_another_parrot_stops_a_stage(tmp_path: Path) -> None:
    make(str(tmp_path))
    with contextlib.chdir(tmp_path):
        check_locked()
        lock = Path("parrot.lock")
        lock.write_text(lock.read_text().replace(code_hashes()["judge"], "0" * 64))
        with pytest.raises(UserError, match="--upgrade"):
            check_locked()
