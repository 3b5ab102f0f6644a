"""`parrot export`: there and back on the command line, and its mistakes, one sentence each."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import parrot


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    np.savez(
        tmp_path / "reach.npz",
        observations=rng.normal(size=(8, 3)).astype(np.float32),
        actions=rng.normal(size=(8, 2)).astype(np.float32),
        terminals=np.arange(8) % 4 == 3,
    )
    arguments = ("--format", "npz", "--out", tmp_path / "episodes")
    assert parrot("import", tmp_path / "reach.npz", *arguments).exit_code == 0
    return tmp_path / "episodes"


def test_there_and_back(dataset: Path) -> None:
    out, back = dataset.with_name("out"), dataset.with_name("back")
    done = parrot("export", dataset, "--format", "webdataset", "--out", out)
    assert done.exit_code == 0, done.output
    assert "num_episodes  2" in done.output
    assert "note: what webdataset cannot hold lies in" in done.output
    done = parrot("import", out, "--format", "webdataset", "--out", back)
    assert done.exit_code == 0, done.output
    assert (back / "episodes.jsonl").read_bytes() == (dataset / "episodes.jsonl").read_bytes()
    assert (back / "manifest.json").read_bytes() == (dataset / "manifest.json").read_bytes()
    assert parrot("verify", back).exit_code == 0


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"--format": "hdf6"}, "--format 'hdf6' is none of robomimic, minari, npz"),
        ({"--control-rate": "-1"}, "--control-rate -1 is no rate"),
        ({"--control-rate": "nan"}, "--control-rate nan is no rate"),
        ({"--kept": "nowhere"}, "is missing"),
        ({"--out": "."}, "called in"),
    ],
)
def test_a_mistake_is_one_sentence(changes: dict[str, str], said: str, dataset: Path) -> None:
    options = {"--format": "npz", "--out": str(dataset.with_name("out")), **changes}
    done = parrot("export", dataset, *(part for option in options.items() for part in option))
    assert done.exit_code == 1
    (sentence,) = (line for line in done.output.splitlines() if line.startswith("error: "))
    assert said in sentence


def test_a_folder_that_is_no_dataset_is_told(dataset: Path) -> None:
    done = parrot("export", dataset.parent, "--format", "npz", "--out", dataset.with_name("out"))
    assert done.exit_code == 1
    assert "manifest.json is missing" in done.output


def test_options_are_those_others_script_against() -> None:
    shown = parrot("export", "--help").output
    for option in ("DATASET", "--format", "--out", "--kept", "--control-rate"):
        assert option in shown
    assert "--without-sidecar" in parrot("import", "--help").output
