"""Every script of examples/ does what its docstring says, as it is called there, only tiny."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import ROOT

from cli.params import Sections
from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.publish import read_json
from parrot_data.worlds.make import make_world
from tests.parrot_models.small_parts import save_part

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
SCRIPTS = [path for path in EXAMPLES if "__main__" in path.read_text()]
TINY_ROBOT = {
    "generate": {"num_episodes": 12},
    "train_prior": {"steps": 4},
    "finetune": {"warmup_steps": 50, "critic_only_updates": 5},
    "evaluate": {"num_episodes": 1},
}


def called(folder: Path, command: str, **values: str) -> str:
    """Run a command of a docstring with other values for some of its options."""
    for option, value in values.items():
        command, found = re.subn(rf"(--{option}) \S+", rf"\1 {value}", command)
        assert found == 1, f"{command} has no --{option}"
    bin_folder = str(Path(sys.executable).parent)
    done = subprocess.run(
        shlex.split(command),
        cwd=folder,
        env={
            **os.environ,
            "PATH": os.pathsep.join((bin_folder, os.environ["PATH"])),
            "PYTHONPATH": os.fspath(ROOT),
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def commands(name: str) -> list[str]:
    docstring = ast.get_docstring(ast.parse((ROOT / "examples" / name).read_text()))
    assert docstring
    return re.findall(r"^    (\S.*)$", docstring, re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_can_be_read_at_a_glance(path: Path) -> None:
    assert len(path.read_text().splitlines()) <= 60
    assert len(SCRIPTS) == 3


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_says_how_it_is_called(path: Path, folder: Path) -> None:
    assert "usage: " in called(folder, f"python examples/{path.name} --help")
    assert commands(path.name)[0].startswith(f"python examples/{path.name} ")


def test_own_data_are_recorded_and_read(folder: Path) -> None:
    record, read = commands("own_data.py")
    called(folder, record, episodes="2")
    called(folder, read)
    manifest = load_manifest(folder / "panda/all", "episodes")
    assert manifest.num_episodes == 2
    assert manifest.spec.vectors == {"achieved_goal": 3, "desired_goal": 3, "observation": 19}
    held = [entry.success for entry in manifest.entries(folder / "panda/all")]
    assert all(held)  # nearly all of the script's are


def test_an_own_environment_goes_from_scripts_to_a_learned_task(folder: Path) -> None:
    path = folder / "examples/buttons.yaml"
    values = yaml.safe_load(path.read_text())
    for section, changes in TINY_ROBOT.items():
        values[section] = values.get(section, {}) | changes
    path.write_text(yaml.safe_dump(values))
    first, second = commands("own_environment.py")
    called(folder, second, set="finetune.env_steps=60")
    metrics = read_json(folder / "buttons/run/metrics.json")
    assert (metrics["task"], metrics["method"]) == ("first", "parrot")
    assert 60 <= metrics["env_steps"] < 60 + 50
    assert second.startswith(first)


def test_another_library_learns_through_a_prior(folder: Path) -> None:
    spec = make_world(Sections(ROOT / "params.yaml").environment()).spec
    save_part("prior", spec, folder / "models/prior")
    (command,) = commands("another_library.py")
    output = called(folder, command, steps="520", scenes="1")  # it learns from step 500 on
    rates = re.findall(r"(z sampled|z = 0|after 520 steps): +([01]\.00)$", output, re.MULTILINE)
    assert [name for name, _ in rates] == ["z sampled", "z = 0", "after 520 steps"]
