"""Every example of README does what it says; test_sharing runs its section on sharing."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import ROOT, Pipeline, change, changed

from cli.params import Sections
from parrot_data.worlds.make import make_world

# In one process: the pipeline runs once
pytestmark = pytest.mark.xdist_group("pipeline")

README = (ROOT / "README.md").read_text()
TINY_ROBOT = {
    "generate": {"num_episodes": 20, "episodes_per_file": 10},
    "finetune": {"env_steps": 100, "warmup_steps": 50},
    "judge": {"num_episodes": 1, "num_demonstrations": 1},
}


def blocks(section: str, kind: str) -> list[str]:
    found = re.search(rf"^## {section}\n(.*?)^## ", README, re.MULTILINE | re.DOTALL)
    assert found, section
    return re.findall(rf"^```{kind}\n(.*?)^```", found[1], re.MULTILINE | re.DOTALL)


def extended(folder: Path, block: str) -> Path:
    """A params file of README beside the default's, tiny."""
    path = folder / "my_robot.yaml"
    values = yaml.safe_load(block)
    assert values.pop("extends") == "params.yaml"
    for section, changes in TINY_ROBOT.items():
        values[section] = values.get(section, {}) | changes
    path.write_text(yaml.safe_dump({"extends": "params.yaml", **values}))
    return path


@pytest.fixture(scope="module")
def made(ran: Pipeline, tmp_path_factory: pytest.TempPathFactory) -> Pipeline:
    return ran.copy(tmp_path_factory.mktemp("readme") / "checkout")


@pytest.mark.parametrize(
    "block", [*blocks("Read the data", "python"), *blocks("Another RL library", "python")]
)
def test_data_and_prior_are_read_as_readme_says(made: Pipeline, block: str) -> None:
    done = made.call(sys.executable, "-W", "ignore", "-c", block)
    assert done.returncode == 0, done.stderr


def test_an_environment_of_gymnasium_is_named_as_readme_says(tmp_path: Path) -> None:
    block, _, _ = blocks("Your own environment", "yaml")
    values = yaml.safe_load(block)
    defaults = yaml.safe_load((ROOT / "params.yaml").read_text())
    named: dict = {
        "judge": {"families": [], "probe": None},
        "explore": {"families": []},
        "finetune": {"tasks": list(values["environment"]["tasks"])},
    }
    change(tmp_path / "params.yaml", changed(defaults, named) | values, {})
    world = make_world(Sections(tmp_path / "params.yaml").environment())
    assert list(world.tasks) == ["pendulum"]
    assert world.max_steps == 200


def test_metaworld_is_named_as_readme_says(tmp_path: Path) -> None:
    _, block, _ = blocks("Your own environment", "yaml")
    (tmp_path / "params.yaml").write_text(
        (ROOT / "studies/metaworld/params.yaml").read_text().replace("../..", str(ROOT))
    )
    written = tmp_path / "written.yaml"
    written.write_text(f"extends: params.yaml\n{block}")
    environment = Sections(written).environment()
    assert environment == Sections(tmp_path / "params.yaml").environment()
    assert "box-close" in make_world(environment).tasks


def test_a_world_of_ones_own_goes_through_every_command(ran: Pipeline, tmp_path: Path) -> None:
    (code,) = blocks("Your own environment", "python")
    _, _, params = blocks("Your own environment", "yaml")
    (commands,) = blocks("Your own environment", "sh")
    (tmp_path / "my_robot.py").write_text(code)
    (tmp_path / "params.yaml").write_text((ran.folder / "params.yaml").read_text())
    extended(tmp_path, params)
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=tmp_path,
        env={**ran.environment, "PYTHONPATH": os.fspath(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "success_rate" in done.stdout


def test_data_of_ones_own_train_a_prior(ran: Pipeline, tmp_path: Path) -> None:
    (code,) = blocks("Your own data", "python")
    (params,) = blocks("Your own data", "yaml")
    (commands,) = blocks("Your own data", "sh")
    (tmp_path / "record.py").write_text(code)
    (tmp_path / "my_data.yaml").write_text(params)
    (tmp_path / "params.yaml").write_text((ran.folder / "params.yaml").read_text())
    done = subprocess.run(
        ["bash", "-e", "-c", commands],
        cwd=tmp_path,
        env={**ran.environment, "PYTHONPATH": os.fspath(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "imported into own/episodes" in done.stdout
    assert (tmp_path / "own/prior/prior.safetensors").exists()


def test_a_dataset_is_edited_compared_proven_and_shown_as_readme_says(tmp_path: Path) -> None:
    person = Pipeline(tmp_path / "checkout")
    person.folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "params.yaml", person.folder)
    more = ("--set", "generate.num_episodes=60", "--workers", "1")
    assert person.call("parrot", "generate", "--out", "data/episodes", *more).returncode == 0
    (block,) = blocks("Datasets", "sh")
    done = person.call("bash", "-e", "-c", block)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "come out as they are in it" in done.stdout
    assert (person.folder / "own" / "page" / "index.html").is_file()
