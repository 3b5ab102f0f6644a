"""Training that was killed and resumed ends where uninterrupted training ends."""

from __future__ import annotations

import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from parrot_data.errors import UserError
from parrot_data.interruption import ENDING, Interrupted
from parrot_data.progress import Scalars, unheard
from parrot_models.networks.checkpoint import load_checkpoint
from parrot_models.training.fitting import Schedule, fit
from parrot_models.training.history import curve_log
from tests.event_files import Told

SCHEDULE = Schedule(
    steps=20,
    learning_rate=0.1,
    gradient_clip=1.0,
    weight_decay=0.0,
    checkpoint_every=4,
    log_every=3,
)


class KilledError(Exception):
    """Stands for a kill."""


@pytest.fixture(autouse=True)
def answered() -> Iterator[None]:
    """A shell that runs the tests in the background has them ignore Ctrl-C."""
    before = {signum: signal.signal(signum, signal.default_int_handler) for signum in ENDING}
    yield
    for signum, handler in before.items():
        signal.signal(signum, handler)


def line(
    checkpoint: Path,
    kill_at: int | None = None,
    signal_at: int | None = None,
    signum: int = signal.SIGINT,
    scalars: Scalars = unheard,
) -> nn.Linear:
    """Fit a line in the checkpoint's folder; a curve of its losses lies beside the checkpoint."""
    checkpoint.parent.mkdir(exist_ok=True)
    torch.manual_seed(0)
    module = nn.Linear(3, 1)
    losses: list[float] = []
    curve = checkpoint.parent / "history.csv"
    log = curve_log(curve, ["loss"], lambda: losses[-1:])

    def loss_at(step: int) -> Tensor:
        if step == kill_at:
            raise KilledError
        if step == signal_at:
            signal.raise_signal(signum)
        x = torch.randn(8, 3, generator=torch.Generator().manual_seed(step))
        error: Tensor = (module(x) - x.sum(1, keepdim=True)).square().mean()
        return error

    def after_step(step: int, loss: float) -> None:
        losses.append(loss)
        if step % 3 == 0:
            log(step + 1)

    fit(
        module, list(module.parameters()), loss_at, SCHEDULE, checkpoint, after_step, curve, scalars
    )
    return module


def test_a_killed_fit_resumes_to_the_same_weights(tmp_path: Path) -> None:
    whole = line(tmp_path / "whole.checkpoint")
    with pytest.raises(KilledError):
        line(tmp_path / "killed.checkpoint", kill_at=10)
    resumed = line(tmp_path / "killed.checkpoint")
    assert torch.equal(resumed.weight, whole.weight)
    assert torch.equal(resumed.bias, whole.bias)


def test_a_fit_tells_mean_losses_and_what_its_curve_has(tmp_path: Path) -> None:
    told, losses = Told(), []
    module = nn.Linear(1, 1)
    log = curve_log(tmp_path / "history.csv", ["seen", "unseen"], lambda: [len(losses), 0.5])

    def after_step(step: int, loss: float) -> None:
        losses.append(loss)
        if step + 1 in (6, 20):
            log(step + 1)

    fit(
        module, list(module.parameters()), lambda step: module.weight.sum() * 0 + step, SCHEDULE,
        tmp_path / "flow.checkpoint", after_step, tmp_path / "history.csv", told,
    )  # fmt: skip
    assert losses == list(range(20))
    means = [(done, done - 2.0) for done in range(3, 19, 3)]
    assert told.column("flow", "loss") == [*means, (20, 18.5)]
    assert told.column("flow", "seen") == [(6, 6.0), (20, 20.0)]
    assert told.column("flow", "unseen") == [(6, 0.5), (20, 0.5)]
    assert told.column("flow", "learning_rate") == [
        (done, SCHEDULE.learning_rate_at(done - 1)) for done in (*range(3, 19, 3), 20)
    ]


@pytest.mark.parametrize("kill_at", range(SCHEDULE.steps))
def test_a_resumed_fit_tells_every_step_once(tmp_path: Path, kill_at: int) -> None:
    whole, told = Told(), Told()
    line(tmp_path / "whole" / "flow.checkpoint", scalars=whole)
    with pytest.raises(KilledError):
        line(tmp_path / "killed" / "flow.checkpoint", kill_at=kill_at, scalars=told)
    line(tmp_path / "killed" / "flow.checkpoint", scalars=told)
    assert told.column("flow", "learning_rate") == whole.column("flow", "learning_rate")


def curve_of(checkpoint: Path) -> str:
    return (checkpoint.parent / "history.csv").read_text()


@pytest.mark.parametrize("signum", ENDING)
@pytest.mark.parametrize("step", range(SCHEDULE.steps))
def test_a_signal_at_any_step_is_saved_and_loses_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, step: int, signum: int
) -> None:
    whole = line(tmp_path / "whole" / "flow.checkpoint")
    stopped = tmp_path / "stopped" / "flow.checkpoint"
    with pytest.raises(Interrupted) as raised:
        line(stopped, signal_at=step, signum=signum)
    assert raised.value.args == (signum, f"step {step + 1} of 20 (flow)")
    with caplog.at_level(logging.INFO):
        resumed = line(stopped, kill_at=step)  # it never does this step again
    said = [f"training (flow) goes on from step {step + 1} of 20"] if step + 1 < 20 else []
    assert [record.getMessage() for record in caplog.records] == said
    assert torch.equal(resumed.weight, whole.weight)
    assert curve_of(stopped) == curve_of(tmp_path / "whole" / "flow.checkpoint")


@pytest.mark.parametrize("harm", ["empty", "truncated", "flipped"])
@pytest.mark.parametrize("kill_at", [9, None])
def test_a_damaged_checkpoint_is_set_aside_and_training_starts_without_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, harm: str, kill_at: int | None
) -> None:
    whole = line(tmp_path / "whole" / "flow.checkpoint")
    damaged = tmp_path / "damaged" / "flow.checkpoint"
    if kill_at is None:
        line(damaged)
    else:
        with pytest.raises(KilledError):
            line(damaged, kill_at=kill_at)
    content = bytearray(damaged.read_bytes())
    content[len(content) // 2] ^= 1
    harmed = {"empty": b"", "truncated": bytes(content[:300]), "flipped": bytes(content)}[harm]
    damaged.write_bytes(harmed)
    resumed = line(damaged)
    assert [r.levelname for r in caplog.records] == ["WARNING"]
    assert torch.equal(resumed.weight, whole.weight)
    assert curve_of(damaged) == curve_of(tmp_path / "whole" / "flow.checkpoint")


def test_rows_of_the_curve_are_those_of_the_checkpoint(tmp_path: Path) -> None:
    line(tmp_path / "whole" / "flow.checkpoint")
    harmed = tmp_path / "harmed" / "flow.checkpoint"
    with pytest.raises(KilledError):
        line(harmed, kill_at=10)
    (harmed.parent / "history.csv").write_text("step,loss\n2,0.12345\n")
    line(harmed)
    assert curve_of(harmed) == curve_of(tmp_path / "whole" / "flow.checkpoint")


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
    saved = load_checkpoint(checkpoint)
    assert saved["step"] == 8
    assert torch.equal(saved["module"]["weight"], states[7]["weight"])


def test_weights_that_overflow_in_the_last_step_get_into_no_checkpoint(tmp_path: Path) -> None:
    module, checkpoint = nn.Linear(3, 1), tmp_path / "flow.checkpoint"
    schedule = Schedule(1, 3e38, 1.0, 0.0, 1, 1)
    nn.init.constant_(module.weight, -3e38)

    def loss_at(_step: int) -> Tensor:
        return (module.weight * 1e-30).sum()

    with pytest.raises(UserError, match="diverged: its weights weight are not all finite"):
        fit(module, list(module.parameters()), loss_at, schedule, checkpoint, lambda _s, _l: None)
    assert not checkpoint.exists()


def test_the_learning_rate_rises_then_falls_to_nothing() -> None:
    schedule = Schedule(1000, 1.0, 1.0, 0.0, 100, 100)
    rates = [schedule.learning_rate_at(step) for step in range(1000)]
    peak = rates.index(max(rates))
    assert rates[:peak] == sorted(rates[:peak])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)
    assert rates[-1] < 1e-4
