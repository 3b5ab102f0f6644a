"""The stage explore: every policy is measured, and a kill changes nothing in what is."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
import torch

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.bc_model import BehaviorCloning, CloneArchitecture
from parrot_models.explore import ExploreParams, explore
from parrot_models.prior.architecture import PriorArchitecture
from parrot_models.prior.behavioral_prior import BehavioralPrior

ENVIRONMENT = EnvironmentParams(image_size=48, proprioception=True, episode_steps=4)
PARAMS = ExploreParams(
    seed=0,
    num_episodes=2,
    num_objects=2,
    latent_bounds=[2.0, 0.5],
    cell_m=0.02,
    opening_cell_m=0.015,
)
POLICIES = ["random", "prior |z|<0.5", "prior |z|<2", "prior", "bc", "script"]
FILES = {"metrics.json", "config.json", "exploration.csv"}


class KilledError(Exception):
    """Stands for a kill."""


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """An untrained prior and an untrained clone."""
    torch.manual_seed(0)
    shared = {
        "image_size": 48,
        "proprioception": True,
        "encoder": "fast",
        "feature_dim": 4,
        "window_dim": 0,
    }
    prior = BehavioralPrior(
        PriorArchitecture(
            **shared, num_keypoints=4, keypoint_width=4, context_dim=4, num_layers=2, hidden=[8],
            max_log_scale=2.0,
        )
    )  # fmt: skip
    clone = BehaviorCloning(CloneArchitecture(**shared, context_dim=4, hidden=[8]))
    lineage = {"params": {"environment": ENVIRONMENT.model_dump()}}
    for name, model in (("prior", prior), ("clone", clone)):
        (tmp_path / name).mkdir()
        model.save(tmp_path / name, lineage)
    return tmp_path / "prior", tmp_path / "clone"


def run(folders: tuple[Path, Path], out: Path, progress: Progress = silent) -> list[dict]:
    return explore(PARAMS, ENVIRONMENT, *folders, out, progress=progress)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_policy_is_measured_in_both_families(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    rows = run(folders, tmp_path / "out")
    assert [(r["family"], r["policy"]) for r in rows] == [
        (family, policy) for family in ("pick", "place") for policy in POLICIES
    ]
    assert json.loads((tmp_path / "out" / "metrics.json").read_text()) == {"rows": rows}
    with (tmp_path / "out" / "exploration.csv").open(newline="") as file:
        for written, row in zip(csv.DictReader(file), rows, strict=True):
            assert written == {key: str(value) for key, value in row.items()}


@pytest.mark.parametrize("call", [0, 7])
def test_a_killed_measurement_ends_in_the_same_bytes(
    folders: tuple[Path, Path], tmp_path: Path, call: int
) -> None:
    def kill(done: int, _total: int, _note: str) -> None:
        if done == call:
            raise KilledError

    run(folders, tmp_path / "whole" / "out")
    out = tmp_path / "killed" / "out"
    with pytest.raises(KilledError):
        run(folders, out, kill)
    run(folders, out)
    assert files_of(out) == files_of(tmp_path / "whole" / "out")
    assert set(files_of(out)) == FILES


@pytest.mark.parametrize("harm", ["empty", "flip"])
def test_a_damaged_piece_is_measured_again(
    folders: tuple[Path, Path], tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str
) -> None:
    def kill(done: int, _total: int, _note: str) -> None:
        if done == 3:
            raise KilledError

    run(folders, tmp_path / "whole" / "out")
    out = tmp_path / "killed" / "out"
    with pytest.raises(KilledError):
        run(folders, out, kill)
    piece = out.with_name("out.partial") / "1.piece"
    content = piece.read_text()
    piece.write_text(
        "" if harm == "empty" else content.replace('"num_episodes": 2', '"num_episodes": 3')
    )
    run(folders, out)
    assert len([m for m in caplog.messages if "measured again" in m]) == 1
    assert files_of(out) == files_of(tmp_path / "whole" / "out")


def test_without_a_clone_it_is_left_out(folders: tuple[Path, Path], tmp_path: Path) -> None:
    rows = explore(PARAMS, ENVIRONMENT, folders[0], None, tmp_path / "out")
    assert {row["policy"] for row in rows} == set(POLICIES) - {"bc"}


@pytest.mark.parametrize("name", ["prior", "clone"])
def test_what_was_trained_for_another_environment_is_named(
    folders: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    path = tmp_path / name / "config.json"
    path.write_text(path.read_text().replace('"episode_steps": 4', '"episode_steps": 5'))
    with pytest.raises(UserError, match=f"{name}/config.json names another environment"):
        run(folders, tmp_path / "out")
