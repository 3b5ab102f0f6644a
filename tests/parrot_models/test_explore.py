"""The stage explore: every policy is measured, and a kill changes nothing in what is."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from small_models import save_small

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_models.explore import ExploreParams, explore

TABLETOP = {
    "name": "tabletop",
    "image_size": 48,
    "proprioception": True,
    "episode_steps": 4,
    "demonstrations": {"action_noise": 0.1, "num_objects": [2, 3]},
}
PARAMS = ExploreParams(
    seed=0, num_episodes=2, families=["pick", "place"], latent_bounds=[2.0, 0.5], cell_m=0.02
)
POLICIES = ["random", "prior |z|<0.5", "prior |z|<2", "prior", "bc", "script"]
FILES = {"metrics.json", "config.json", "exploration.csv"}


class KilledError(Exception):
    """Stands for a kill."""


def environment(**changes: Any) -> EnvironmentParams:
    return TypeAdapter(EnvironmentParams).validate_python({**TABLETOP, **changes})


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """An untrained prior and an untrained clone."""
    spec = make_world(environment()).spec
    return save_small("prior", spec, tmp_path / "prior"), save_small("bc", spec, tmp_path / "clone")


def run(
    folders: tuple[Path, Path], out: Path, progress: Progress = silent, **changes: Any
) -> list[dict]:
    return explore(PARAMS, environment(**changes), *folders, out, progress=progress)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_every_policy_is_measured_in_both_families(
    folders: tuple[Path, Path], tmp_path: Path
) -> None:
    rows = run(folders, tmp_path / "out")
    assert [(r["family"], r["policy"]) for r in rows] == [
        (family, policy) for family in ("pick", "place") for policy in POLICIES
    ]
    assert {"success_rate", "touched_rate", "moved_rate", "table_contact_step_rate"} <= set(rows[0])
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
    rows = explore(PARAMS, environment(), folders[0], None, tmp_path / "out")
    assert {row["policy"] for row in rows} == set(POLICIES) - {"bc"}


@pytest.mark.parametrize("name", ["prior", "clone"])
def test_what_was_trained_on_other_data_is_named(
    folders: tuple[Path, Path], tmp_path: Path, name: str
) -> None:
    spec = make_world(environment(image_size=32)).spec
    other = save_small({"prior": "prior", "clone": "bc"}[name], spec, tmp_path / "other" / name)
    given = {"prior": folders[0], "clone": folders[1]} | {name: other}
    with pytest.raises(UserError, match=rf"{name} was trained on other .* observations\.image"):
        run((given["prior"], given["clone"]), tmp_path / "out")


def test_a_world_that_does_not_tell_where_things_are_is_named(tmp_path: Path) -> None:
    toy = {"name": "tests.toy_world:make_world", "kwargs": {}}
    values = TypeAdapter(EnvironmentParams).validate_python(toy)
    prior = save_small("prior", make_world(values).spec, tmp_path / "prior")
    with pytest.raises(UserError, match="lacks a privileged array object_positions"):
        explore(PARAMS, values, prior, None, tmp_path / "out")


@pytest.mark.parametrize("where", ["prior", "clone", ".", "prior/inside"])
def test_a_result_never_takes_the_place_of_what_it_is_made_from(
    folders: tuple[Path, Path], tmp_path: Path, where: str
) -> None:
    before = [files_of(folder) for folder in folders]
    with pytest.raises(UserError, match=r"name (another|a)|input"):
        run(folders, tmp_path / where)
    assert [files_of(folder) for folder in folders] == before
    assert {path.name for path in tmp_path.iterdir()} == {"prior", "clone"}
