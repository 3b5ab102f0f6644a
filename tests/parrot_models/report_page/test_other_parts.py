"""What methods start from is shown beside the prior, each by what was measured of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from parrot_data.errors import UserError
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.seal import seal
from parrot_models.report_page.judged import read_judgement
from parrot_models.report_page.parts import TrainedPart, read_parts, with_prior
from parrot_models.report_page.sections import parts_section

PRIOR = {"log_prob_per_dim": 0.6}
METRICS: dict[str, dict[str, Any]] = {
    "spline": {"log_prob_per_dim": 0.8},
    "bc": {"log_prob_per_dim": 0.5},
    "vae": {"elbo": -33.0, "object_error": 0.125},
    "trajectories": {"elbo_per_dim": 0.2, "log_prob_per_dim": 0.9},
    "options": {"bound_per_dim": 0.3, "log_prob_per_dim": 0.9},
}


def rollouts(near: float, far: float) -> dict[str, Any]:
    families = {"near": {"success_rate": near}, "far": {"success_rate": far}}
    return {
        "sampled": {"success_rate": (near + far) / 2, "touched_rate": 1.0, "families": families}
    }


JUDGED: dict[str, dict[str, Any]] = {
    "prior": {"rollouts": rollouts(0.25, 0.125), "probe_error": {"agent_features": 0.01234}},
    "bc": {"rollouts": rollouts(0.5, 0.0)},
    "vae": {"probe_error": {"agent_features": 0.02, "pixels": 0.03}},
    "trajectories": {"reproduction": {"open_loop_reproduction_rate": 0.75}},
    "options": {"reproduction": {"closed_loop_reproduction_rate": 0.5, "num_demonstrations": 3}},
}


@pytest.fixture
def models(tmp_path: Path) -> Path:
    for name, metrics in {"prior": PRIOR, **METRICS}.items():
        (tmp_path / name).mkdir()
        write_json(tmp_path / name / "metrics.json", metrics)
        seal(tmp_path / name, ["metrics.json"])
    config = {"params": {"train_prior": {"flow": "affine"}}}
    write_json(tmp_path / "prior" / "config.json", config)
    (tmp_path / "vae" / "reconstructions.png").write_bytes(b"PNG")
    for name, metrics in JUDGED.items():
        folder = tmp_path / "judged" / name
        folder.mkdir(parents=True)
        (tmp_path / name / "w.safetensors").write_bytes(name.encode())
        hashes = {"w.safetensors": sha256_file(tmp_path / name / "w.safetensors")}
        write_json(folder / "config.json", {"model_sha256": hashes})
        write_json(folder / "metrics.json", metrics)
        seal(folder, ["config.json", "metrics.json"])
    return tmp_path


def parts_of(models: Path, *names: str) -> list[TrainedPart]:
    judged = models / "judged"
    parts = read_parts({name: models / name for name in names or METRICS}, judged)
    return with_prior(models / "prior", read_judgement(judged, models / "prior"), parts)


def cells(models: Path, *names: str) -> dict[str, dict[str, str]]:
    section = parts_section(parts_of(models, *names))
    return {row[0]: dict(zip(section.header, row, strict=True)) for row in section.rows}


def test_flows_stand_beside_the_prior(models: Path) -> None:
    table = cells(models)
    assert list(table) == ["prior (affine)", *METRICS]
    assert table["prior (affine)"]["nats a dimension"] == "0.60"
    assert table["spline"]["nats a dimension"] == "0.80"
    assert table["prior (affine)"]["success: near"] == "25.0%"


def test_a_likelihood_given_the_latent_is_not_shown_as_that_of_actions(models: Path) -> None:
    table = cells(models)
    assert table["trajectories"]["nats a dimension"] == "0.20"
    assert table["options"]["nats a dimension"] == "0.30"
    assert table["vae"]["nats a dimension"] == "-", "its bound is of images"


def test_what_was_not_measured_is_left_open(models: Path) -> None:
    table = cells(models)
    assert (table["bc"]["success: near"], table["bc"]["success: far"]) == ("50.0%", "0.0%")
    assert table["spline"]["success: near"] == "-"
    assert table["bc"]["touched"] == "100.0%"
    assert table["prior (affine)"]["probe error"] == "0.0123"
    assert table["vae"]["probe error"] == "0.02"
    assert (table["vae"]["pixel error"], table["bc"]["pixel error"]) == ("0.12", "-")


def test_reproductions_that_differ_in_kind_have_columns_of_their_own(models: Path) -> None:
    table = cells(models)
    of_trajectories, of_options = table["trajectories"], table["options"]
    assert of_trajectories["open loop reproduction"] == "75.0%"
    assert of_trajectories["closed loop reproduction"] == "-"
    assert of_options["closed loop reproduction"] == "50.0%"
    assert of_options["open loop reproduction"] == "-"


def test_what_is_known_of_no_part_has_no_column(models: Path) -> None:
    columns = cells(models, "spline")["spline"].keys()
    assert columns >= {"part", "nats a dimension", "success: near"}
    assert not [name for name in columns if "reproduction" in name or "pixel" in name]


def test_reconstructions_are_shown_as_the_training_drew_them(models: Path) -> None:
    (figure,) = parts_section(parts_of(models, "vae")).figures
    assert (figure.name, figure.png) == ("vae_reconstructions", b"PNG")


def test_every_number_of_a_part_can_be_read(models: Path) -> None:
    ((title, _header, rows),) = parts_section(parts_of(models, "vae")).details
    assert "vae" in title
    assert ("object error", "0.125") in rows
    assert ("judged: probe error: pixels", "0.030") in rows


def test_a_part_that_was_not_trained_is_named(models: Path) -> None:
    with pytest.raises(UserError, match=r"hirl.* holds no metrics\.json.*take hirl out"):
        parts_of(models, "bc", "hirl")


def test_no_parts_make_no_section(models: Path) -> None:
    judgement = read_judgement(models / "judged", models / "prior")
    assert not parts_section(with_prior(models / "prior", judgement, [])).rows
