"""`parrot import`: its mistakes are one sentence each, and what is lost is said."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import parrot


@pytest.fixture
def source(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "reach.npz",
        observations=rng.normal(size=(8, 3)).astype(np.float32),
        actions=rng.normal(size=(8, 2)).astype(np.float32),
        terminals=np.arange(8) % 4 == 3,
        qpos=np.zeros(8),
    )
    return tmp_path / "reach.npz"


def test_a_file_of_numpys_is_imported_and_what_is_lost_is_said(source: Path) -> None:
    out = source.with_name("out")
    done = parrot("import", source, "--format", "npz", "--out", out)
    assert done.exit_code == 0, done.output
    assert "num_episodes   2" in done.output
    assert "note: " in done.output
    assert "qpos are not kept" in done.output
    told = parrot("info", out)
    assert told.exit_code == 0
    assert "num_episodes_of.reach" in told.output
    assert parrot("verify", out).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--format": "rosbag"}, "--format 'rosbag' is none of robomimic, minari, npz"),
        ({"--success": "perhaps"}, "--success perhaps is no rule"),
        ({"--task": ""}, "names no task"),
        ({"--task": "a\nb"}, "names no task"),
        ({"--format": "minari"}, "is no folder"),
        ({"--success": "key=qpos2"}, "has no qpos2"),
        ({"--success": "last-reward>=1"}, "episode 0 has no rewards"),
    ],
)
def test_a_mistake_is_one_sentence(changes: dict[str, str], said: str, source: Path) -> None:
    options = {"--format": "npz", "--out": str(source.with_name("out")), **changes}
    done = parrot("import", source, *(part for option in options.items() for part in option))
    assert done.exit_code == 1
    (sentence,) = (line for line in done.output.splitlines() if line.startswith("error: "))
    assert said in sentence


def test_bounds_are_two_numbers(source: Path) -> None:
    arguments = ("import", source, "--format", "npz", "--out", source.with_name("out"))
    assert parrot(*arguments, "--bounds", "-9", "9").exit_code == 0
    assert parrot(*arguments, "--bounds", "1", "-1").exit_code == 1
    assert parrot(*arguments, "--bounds", "1").exit_code == 2


def test_options_are_those_others_script_against() -> None:
    """It reads no params: what decides is the source and how it is to be taken."""
    shown = parrot("import", "--help").output
    for option in ("SOURCE", "--format", "--out", "--task", "--success", "--bounds"):
        assert option in shown


def test_importing_loads_neither_torch_nor_the_simulator(source: Path) -> None:
    code = (
        "import sys; from cli.main import app\n"
        f"app(['import', {str(source)!r}, '--format', 'npz', '--out', "
        f"{str(source.with_name('out'))!r}], standalone_mode=False)\n"
        "assert not {'torch', 'pybullet'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
