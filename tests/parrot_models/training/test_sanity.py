"""Data that no density can be fitted to, and results that none can have."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from learnable import PARAMS
from small_shards import made_up_episode, write_shards

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.manifest import load_manifest
from parrot_models.train_prior import OUTPUT
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.params import TrainingParams
from parrot_models.training.sanity import check_deviations, check_metrics, check_variety
from parrot_models.training.trained_folder import write_trained
from tests.specs import spec_of

NUM_STEPS = 40
BOUNDED = spec_of(vectors={"state": 3}, action_dim=7)
UNBOUNDED = spec_of(vectors={"state": 3}, action_dim=7, bounds=None)
every_spec = pytest.mark.parametrize("spec", [BOUNDED, UNBOUNDED], ids=["bounded", "unbounded"])


def shards(folder: Path, spec: EpisodeSpec, column: np.ndarray | None = None) -> Path:
    """Two episodes of random actions, whose dimension 4 is another."""
    episodes = []
    for index in range(2):
        actions = np.random.default_rng(index).uniform(-1.0, 1.0, (NUM_STEPS, 7))
        if column is not None:
            actions[:, 4] = column
        episode = made_up_episode(spec, index, NUM_STEPS)
        episodes.append(replace(episode, actions=actions.astype(np.float32)))
    return write_shards(folder, episodes, spec)


SHARED = TrainingParams.model_fields


def train(data: Path, out: Path) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("training began")

    write_trained(
        make=lambda _spec: None, fit=refuse, measure=refuse, card=refuse, data=data, out=out,
        output=OUTPUT, made_from={}, stage="parrot_models.train_prior",
        params=TrainingParams.model_validate({name: PARAMS[name] for name in SHARED}),
        progress=lambda *_: None,
    )  # fmt: skip


def nearly_constant() -> np.ndarray:
    column = np.full(NUM_STEPS, 0.8)
    column[0] = -0.8
    return column


@every_spec
@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.full(NUM_STEPS, 0.25), "dimension 4 .* is constant"),
        (nearly_constant(), "dimension 4 .* is 0.8 in 9[0-9]% of the transitions"),
    ],
)
def test_actions_without_variety_are_refused_before_any_training(
    tmp_path: Path, spec: EpisodeSpec, column: np.ndarray, message: str
) -> None:
    data = shards(tmp_path / "shards", spec, column)
    with pytest.raises(UserError, match=message):
        train(data, tmp_path / "prior")
    assert not (tmp_path / "prior").exists()


def test_what_is_constant_depends_on_the_bounds_and_not_on_the_units(tmp_path: Path) -> None:
    """A motion of a tenth of a millimetre is none of an arm's, and may be all of a microscope's."""
    hardly = np.linspace(0.25, 0.2501, NUM_STEPS)
    with pytest.raises(UserError, match=r"dimension 4 .* is constant"):
        train(shards(tmp_path / "bounded", BOUNDED, hardly), tmp_path / "prior")
    data = shards(tmp_path / "unbounded", UNBOUNDED, hardly)
    check_deviations(load_manifest(data, "shards"), data)


@every_spec
def test_actions_that_vary_are_not_refused(tmp_path: Path, spec: EpisodeSpec) -> None:
    data = shards(tmp_path / "shards", spec)
    check_deviations(load_manifest(data, "shards"), data)
    check_variety(TransitionBatches(data, tmp_path / "cache", 0.5), data)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("log_prob_per_dim", -1.8e10),
        ("log_prob_per_dim", 40.0),
        ("elbo_per_dim", 1e6),
        ("log_prob_per_dim", math.nan),
        ("latent_inverse_error", math.inf),
        ("rollout_success_rate", math.nan),
    ],
)
def test_absurd_results_end_a_training(name: str, value: float) -> None:
    with pytest.raises(UserError, match=f"training ended with {name} = "):
        check_metrics({"note": "x", "fine_per_dim": 0.6, name: value})
    with pytest.raises(UserError, match=f"training ended with probe.{name} = "):
        check_metrics({"probe": {name: value}})


def test_common_results_are_let_through() -> None:
    check_metrics({"log_prob_per_dim": 0.6, "kl": 1e4, "is_so": True, "probe": {"a": 3.0}, "n": 2})
