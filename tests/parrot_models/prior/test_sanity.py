"""Data that no density can be fitted to, and results that none can have."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from small_shards import write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_models.prior.batches import TransitionBatches
from parrot_models.prior.sanity import check_deviations, check_metrics, check_variety
from parrot_models.prior.trained_folder import write_trained
from parrot_models.train_prior import OUTPUT, train_prior

NUM_STEPS = 40


def episode(index: int, actions: np.ndarray) -> Episode:
    size = NUM_STEPS + 1
    return Episode(
        index=index,
        task="pick",
        objects=("block",),
        container="",
        success=True,
        failure="",
        images=np.full((size, 48, 48, 3), index, dtype=np.uint8),
        proprioception=np.zeros((size, 8), dtype=np.float32),
        actions=actions.astype(np.float32),
        rewards=np.zeros(NUM_STEPS, dtype=np.float32),
        object_positions=np.zeros((size, 3, 3), dtype=np.float32),
    )


def shards(folder: Path, column: np.ndarray | None = None) -> Path:
    """Two episodes of random actions, whose dimension 4 is another."""
    rng = np.random.default_rng(0)
    episodes = []
    for index in range(2):
        actions = rng.uniform(-1.0, 1.0, (NUM_STEPS, 7))
        if column is not None:
            actions[:, 4] = column
        episodes.append(episode(index, actions))
    return write_shards(folder, episodes)


def train(data: Path, out: Path) -> None:
    def refuse(*_: object) -> None:
        pytest.fail("training began")

    write_trained(
        make=refuse, fit=refuse, judge=refuse, card=refuse, data=data, out=out,
        output=OUTPUT, made_from={"params": {}}, stage=train_prior.__module__, seed=0,
        held_out_fraction=0.5, progress=lambda *_: None,
    )  # fmt: skip


def nearly_constant() -> np.ndarray:
    column = np.full(NUM_STEPS, 0.8)
    column[0] = -0.8
    return column


@pytest.mark.parametrize(
    ("column", "message"),
    [
        (np.full(NUM_STEPS, 0.25), "dimension 4 .* is constant"),
        (np.linspace(0.25, 0.2501, NUM_STEPS), "dimension 4 .* is constant"),
        (nearly_constant(), "dimension 4 .* is 0.8 in 9[0-9]% of the transitions"),
    ],
)
def test_actions_without_variety_are_refused_before_any_training(
    tmp_path: Path, column: np.ndarray, message: str
) -> None:
    data = shards(tmp_path / "shards", column)
    with pytest.raises(UserError, match=message):
        train(data, tmp_path / "prior")
    assert not (tmp_path / "prior").exists()


def test_actions_that_vary_are_not_refused(tmp_path: Path) -> None:
    data = shards(tmp_path / "shards")
    check_deviations(data)
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
