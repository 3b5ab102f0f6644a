"""What methods start from is shown beside the prior, each by what its own training measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from parrot_data.errors import UserError
from parrot_data.stores.publish import write_json
from parrot_data.stores.seal import seal
from parrot_models.report_page.parts import HEADER, read_parts, with_prior
from parrot_models.report_page.sections import parts_section

PRIOR = {"log_prob_per_dim": 0.6, "pick_rollout_success_rate": 0.25, "probe_error_cm": {"x": 1.0}}
METRICS = {
    "spline": {"log_prob_per_dim": 0.8, "probe_error_cm": {"agent_features": 0.7, "pixels": 2.0}},
    "bc": {"log_prob_per_dim": 0.5, "place_rollout_success_rate": 0.125},
    "vae": {"elbo": -33.0, "object_error": 0.125, "probe_error_cm": {"features": 1.5}},
    "trajectories": {"elbo_per_dim": 0.2, "log_prob_per_dim": 0.9, "pick_reproduced_rate": None},
    "options": {"bound_per_dim": 0.3, "log_prob_per_dim": 0.9, "place_reproduction_rate": 0.5},
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
    return tmp_path


def cells(models: Path) -> dict[str, dict[str, str]]:
    parts = with_prior(models / "prior", read_parts({name: models / name for name in METRICS}))
    rows = parts_section(parts).rows
    return {row[0]: dict(zip(HEADER, row, strict=True)) for row in rows}


def test_flows_stand_beside_the_prior(models: Path) -> None:
    table = cells(models)
    assert list(table) == ["prior (affine)", *METRICS]
    assert table["prior (affine)"]["nats a dimension"] == "0.60"
    assert table["spline"]["nats a dimension"] == "0.80"
    assert table["prior (affine)"]["rollouts that pick"] == "25.0%"


def test_a_likelihood_given_the_latent_is_not_shown_as_that_of_actions(models: Path) -> None:
    table = cells(models)
    assert table["trajectories"]["nats a dimension"] == "0.20"
    assert table["options"]["nats a dimension"] == "0.30"
    assert table["vae"]["nats a dimension"] == "-", "its bound is of pictures"


def test_what_was_not_measured_is_left_open(models: Path) -> None:
    table = cells(models)
    assert table["bc"]["that place"] == "12.5%"
    assert table["bc"]["rollouts that pick"] == "-"
    assert table["trajectories"]["picks reproduced"] == "-"
    assert table["options"]["places reproduced"] == "50.0%"
    assert table["spline"]["probe error (cm)"] == "0.70"
    assert table["vae"]["probe error (cm)"] == "1.50"
    assert table["prior (affine)"]["probe error (cm)"] == "-"
    assert (table["vae"]["pixel error"], table["bc"]["pixel error"]) == ("0.12", "-")


def test_reconstructions_are_shown_as_the_training_drew_them(models: Path) -> None:
    parts = with_prior(models / "prior", read_parts({"vae": models / "vae"}))
    (figure,) = parts_section(parts).figures
    assert (figure.name, figure.png) == ("vae_reconstructions", b"PNG")


def test_every_number_of_a_part_can_be_read(models: Path) -> None:
    parts = with_prior(models / "prior", read_parts({"vae": models / "vae"}))
    ((title, _header, rows),) = parts_section(parts).details
    assert "vae" in title
    assert ("object error", "0.125") in rows


def test_a_part_that_was_not_trained_is_named(models: Path) -> None:
    with pytest.raises(UserError, match=r"hirl.* holds no metrics\.json.*take hirl out"):
        read_parts({"bc": models / "bc", "hirl": models / "hirl"})


def test_no_parts_make_no_section(models: Path) -> None:
    assert not parts_section(with_prior(models / "prior", [])).rows
