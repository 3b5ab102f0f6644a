"""Training that was killed and resumed ends where uninterrupted training ends."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


class BrokenBackwards(torch.autograd.Function):
    """The identity, whose gradient is infinite."""

    @staticmethod
    def forward(_ctx: Any, x: Tensor) -> Tensor:
        return x.clone()

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return gradient * torch.inf


def test_a_gradient_that_is_not_finite_reaches_neither_weights_nor_checkpoint(
    tmp_path: Path,
) -> None:
    module, checkpoint = nn.Linear(3, 1), tmp_path / "flow.checkpoint"
    states = []

    def loss_at(step: int) -> Tensor:
        loss: Tensor = module(torch.ones(1, 3)).square().sum()
        return BrokenBackwards.apply(loss) if step == 10 else loss

    def note(_step: int, _loss: float) -> None:
        states.append({name: value.clone() for name, value in module.state_dict().items()})

    with pytest.raises(UserError, match=r"norm of the gradient became .* at step 10 .*\(flow\)"):
        fit(module, list(module.parameters()), loss_at, SCHEDULE, checkpoint, note)
    for name, value in module.state_dict().items():
        assert torch.equal(value, states[-1][name])
    saved = torch.load(checkpoint, weights_only=True)
    assert saved["step"] == 8
    assert torch.equal(saved["module"]["weight"], states[7]["weight"])


def test_weights_that_overflow_in_the_last_step_get_into_no_checkpoint(tmp_path: Path) -> None:
    module, checkpoint = nn.Linear(3, 1), tmp_path / "flow.checkpoint"
    schedule = Schedule(1, 3e38, 1.0, 0.0, 1)
    nn.init.constant_(module.weight, -3e38)

    def loss_at(_step: int) -> Tensor:
        return (module.weight * 1e-30).sum()

    with pytest.raises(UserError, match="diverged: its weights weight are not all finite"):
        fit(module, list(module.parameters()), loss_at, schedule, checkpoint, lambda _s, _l: None)
    assert not checkpoint.exists()


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    schedule = Schedule(1000, 1.0, 1.0, 0.0, 100)
    rates = [schedule.learning_rate_at(step) for step in range(1000)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-4
