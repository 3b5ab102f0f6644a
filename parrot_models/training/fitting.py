"""Gradient descent that can be killed at any step and goes on as if nothing had happened."""

from __future__ import annotations

import logging
import math
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from parrot_data.interruption import HeldBack, Interrupted, held_back
from parrot_data.progress import Scalars, unheard
from parrot_models.networks.checkpoint import load_checkpoint, save_checkpoint
from parrot_models.networks.finite import check_values, check_weights
from parrot_models.training.history import row_of
from parrot_models.training.params import TrainingParams
from parrot_models.training.ranks import ALONE, Ranks

_log = logging.getLogger(__name__)

WARMUP_FRACTION = 0.05
WEIGHT_DECAY = 1e-3


@dataclass(frozen=True)
class Schedule:
    """How a module is fitted.

    Attributes:
        steps: gradient steps.
        learning_rate: at its peak, after a linear warm-up; a cosine takes it to zero.
        gradient_clip: largest norm of the gradient.
        weight_decay: of AdamW.
        checkpoint_every: steps between checkpoints.
        log_every: steps between two times that values are told.
    """

    steps: int
    learning_rate: float
    gradient_clip: float
    weight_decay: float
    checkpoint_every: int
    log_every: int

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step: a function of the step alone, so that resuming needs no more."""
        warmup = max(1, round(WARMUP_FRACTION * self.steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1, self.steps - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def schedule_of(params: TrainingParams, steps: int, learning_rate: float) -> Schedule:
    """How params say that a model, or what stands beside it, is fitted in so many steps."""
    return Schedule(
        steps, learning_rate, params.gradient_clip, WEIGHT_DECAY, params.checkpoint_every,
        params.log_every,
    )  # fmt: skip


def fit(
    module: nn.Module,
    parameters: Sequence[nn.Parameter],
    loss_at: Callable[[int], Tensor],
    schedule: Schedule,
    checkpoint: Path,
    after_step: Callable[[int, float], None],
    curve: Path | None = None,
    scalars: Scalars = unheard,
    ranks: Ranks = ALONE,
) -> None:
    """Minimise a loss, resuming from `checkpoint` where there is one that is whole.

    Of several processes the first alone reads and writes files, and is told of steps.

    Args:
        module: what the checkpoint holds, with the optimiser's state.
        parameters: what is trained.
        loss_at: the loss of a step; all its randomness must follow from the step's number.
        schedule: how to descend.
        checkpoint: file; see `save_checkpoint`.
        after_step: called with each step's number and loss; sees the module after the step.
        curve: file that `after_step` writes, kept in the checkpoint: resuming brings it back.
        scalars: called every `log_every` steps and after the last one, with the mean loss since,
            the learning rate, and what the curve has of that step.
        ranks: the processes that fit it together, each by its part of the loss.

    Raises:
        UserError: loss, gradient or weights are not finite. What is not never gets into a
            checkpoint, and no such gradient into the weights.
        Interrupted: a signal asked one of them for it; a checkpoint of the last step was saved
            before.
    """
    optimizer = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
    start = _resume(module, optimizer, checkpoint, curve, ranks)
    averaged_at = ranks.averaged(loss_at, parameters)
    if ranks.is_first and 0 < start < schedule.steps:
        _log.info(
            "training (%s) goes on from step %s of %s",
            checkpoint.stem, f"{start:,}", f"{schedule.steps:,}",
        )  # fmt: skip
    losses: list[float] = []
    if ranks.is_first:
        scalars(checkpoint.stem, start, {})
    with held_back() as signals:
        for step in range(start, schedule.steps):
            loss = _descend(parameters, optimizer, averaged_at, schedule, step, checkpoint, ranks)
            done = step + 1
            if ranks.is_first:
                after_step(step, loss)
                losses.append(loss)
                if done % schedule.log_every == 0 or done == schedule.steps:
                    scalars(checkpoint.stem, done, _measured(losses, schedule, step, curve))
                    losses.clear()
            is_asked = bool(signals) if ranks.count == 1 else _any_asked(bool(signals), ranks)
            if is_asked or done % schedule.checkpoint_every == 0 or done == schedule.steps:
                check_weights(module.state_dict(), f"training ({checkpoint.stem}) by step {step}")
                if ranks.is_first:
                    _save(module, optimizer, done, checkpoint, curve)
                where = f"step {done:,} of {schedule.steps:,} ({checkpoint.stem})"
                _leave_if(is_asked, signals, where, ranks)


def _leave_if(is_asked: bool, signals: HeldBack, where: str, ranks: Ranks) -> None:
    """Raise `Interrupted` if a signal asks for it; with others only where all of them know."""
    if is_asked or ranks.count == 1:
        signals.release(where)
    if is_asked:
        raise Interrupted(signal.SIGTERM, where)  # another process got the signal


def _any_asked(is_asked: bool, ranks: Ranks) -> bool:
    """Whether a signal asked any of the processes to end: they leave after the same step."""
    return bool(ranks.summed(torch.tensor([float(is_asked)])))


def _descend(
    parameters: Sequence[nn.Parameter],
    optimizer: torch.optim.Optimizer,
    loss_at: Callable[[int], Tensor],
    schedule: Schedule,
    step: int,
    checkpoint: Path,
    ranks: Ranks,
) -> float:
    """Take one step; its loss, over all processes. See `fit`."""
    for group in optimizer.param_groups:
        group["lr"] = schedule.learning_rate_at(step)
    loss = loss_at(step)
    optimizer.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(parameters, schedule.gradient_clip)
    mean_loss = ranks.summed(loss.detach().float()) / ranks.count if ranks.count > 1 else loss
    # Both in one copy, before the step: it is all that a training waits for a GPU for.
    value, size = torch.stack([mean_loss.detach().float(), norm.float()]).tolist()
    where = f"at step {step} of training ({checkpoint.stem})"
    check_values({"loss": value, "norm of the gradient": size}, where)
    optimizer.step()
    return float(value)


def _measured(
    losses: Sequence[float], schedule: Schedule, step: int, curve: Path | None
) -> Mapping[str, float]:
    """What there is to tell after a step."""
    return {
        "loss": sum(losses) / len(losses),
        "learning_rate": schedule.learning_rate_at(step),
        **({} if curve is None else row_of(curve, step + 1)),
    }


def _resume(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    checkpoint: Path,
    curve: Path | None,
    ranks: Ranks,
) -> int:
    """Restore module, optimiser and curve; the number of steps already done."""
    state = ranks.from_first(lambda: load_checkpoint(checkpoint))
    if curve is not None and ranks.is_first:
        # Its rows are proven by the checkpoint alone.
        curve.unlink(missing_ok=True)
        if state is not None and state["curve"]:
            curve.write_text(state["curve"], encoding="utf-8")
    if state is None:
        return 0
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _save(
    module: nn.Module,
    optimizer: torch.optim.Optimizer,
    step: int,
    checkpoint: Path,
    curve: Path | None,
) -> None:
    rows = curve.read_text(encoding="utf-8") if curve is not None and curve.exists() else ""
    state = {
        "module": module.state_dict(),
        "optimizer": optimizer.state_dict(),
        "step": step,
        "curve": rows,
    }
    save_checkpoint(checkpoint, state)
