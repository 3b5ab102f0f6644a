"""Training that was killed and resumed ends where uninterrupted training ends."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from parrot_data.errors import UserError
from parrot_models.prior.fitting import Schedule, fit

SCHEDULE = Schedule(
    steps=20, learning_rate=0.1, gradient_clip=1.0, weight_decay=0.0, checkpoint_every=4
)


class KilledError(Exception):
    """Stands for a kill."""


def line(checkpoint: Path, kill_at: int | None = None) -> nn.Linear:
    torch.manual_seed(0)
    module = nn.Linear(3, 1)

    def loss_at(step: int) -> Tensor:
        if step == kill_at:
            raise KilledError
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        error: Tensor = (module(x) - x.sum(1, keepdim=True)).square().mean()
        return error

    fit(module, list(module.parameters()), loss_at, SCHEDULE, checkpoint, lambda _s, _l: None)
    return module


def test_a_killed_fit_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = line(tmp_path / "whole.checkpoint")
    with pytest.raises(KilledError):
        line(tmp_path / "killed.checkpoint", kill_at=10)
    resumed = line(tmp_path / "killed.checkpoint")
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.bias, whole.bias)


def test_a_loss_that_is_not_finite_stops_with_a_sentence(tmp_path: Path) -> None:
    module = nn.Linear(1, 1)
    nan = torch.tensor(float("nan"))
    with pytest.raises(UserError, match=r"nan at step 0.*learning rate"):
        fit(
            module, list(module.parameters()), lambda _step: module.weight.sum() * nan,
            SCHEDULE, tmp_path / "x.checkpoint", lambda _s, _l: None,
        )  # fmt: skip


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    schedule = Schedule(1000, 1.0, 1.0, 0.0, 100)
    rates = [schedule.learning_rate_at(step) for step in range(1000)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-4
