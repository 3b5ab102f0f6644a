"""Gradient descent that can be killed at any step and goes on as if nothing had happened."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from parrot_models.networks.device import on_host
from parrot_models.networks.finite import check_values, check_weights

WARMUP_FRACTION = 0.05


@dataclass(frozen=True)
class Schedule:
    """How a module is fitted.

    Attributes:
        steps: gradient steps.
        learning_rate: at its peak, after a linear warm-up; a cosine takes it to zero.
        gradient_clip: largest norm of the gradient.
        weight_decay: of AdamW.
        checkpoint_every: steps between checkpoints.
    """

    steps: int
    learning_rate: float
    gradient_clip: float
    weight_decay: float
    checkpoint_every: int

    def learning_rate_at(self, step: int) -> float:
        """Learning rate of a step: a function of the step alone, so that resuming needs no more."""
        warmup = max(1, round(WARMUP_FRACTION * self.steps))
        if step < warmup:
            return self.learning_rate * (step + 1) / warmup
        progress = (step - warmup) / max(1, self.steps - warmup)
        return self.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))


def fit(
    module: nn.Module,
    parameters: Sequence[nn.Parameter],
    loss_at: Callable[[int], Tensor],
    schedule: Schedule,
    checkpoint: Path,
    after_step: Callable[[int, float], None],
) -> None:
    """Minimise a loss, resuming from `checkpoint` where there is one.

    Args:
        module: what the checkpoint holds, with the optimiser's state.
        parameters: what is trained.
        loss_at: the loss of a step; all its randomness must follow from the step's number.
        schedule: how to descend.
        checkpoint: file, written whole or not at all.
        after_step: told each step's number and loss; sees the module after the step.

    Raises:
        UserError: loss, gradient or weights are not finite. What is not never gets into a
            checkpoint, and no such gradient into the weights.
    """
    optimizer = torch.optim.AdamW(
        parameters, lr=schedule.learning_rate, weight_decay=schedule.weight_decay, fused=True
    )
    start = _resume(module, optimizer, checkpoint)
    for step in range(start, schedule.steps):
        for group in optimizer.param_groups:
            group["lr"] = schedule.learning_rate_at(step)
        loss = loss_at(step)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(parameters, schedule.gradient_clip)
        # Both in one copy, before the step: it is all that a training waits for a GPU for.
        value, size = torch.stack([loss.detach().float(), norm.float()]).tolist()
        where = f"at step {step} of training ({checkpoint.stem})"
        check_values({"loss": value, "norm of the gradient": size}, where)
        optimizer.step()
        after_step(step, value)
        is_last = step + 1 == schedule.steps
        if is_last or (step + 1) % schedule.checkpoint_every == 0:
            check_weights(module.state_dict(), f"training ({checkpoint.stem}) by step {step}")
            _save(module, optimizer, step + 1, checkpoint)


def _resume(module: nn.Module, optimizer: torch.optim.Optimizer, checkpoint: Path) -> int:
    """Restore module and optimiser; the number of steps already done."""
    if not checkpoint.exists():
        return 0
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    module.load_state_dict(state["module"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def _save(module: nn.Module, optimizer: torch.optim.Optimizer, step: int, checkpoint: Path) -> None:
    state = {"module": module.state_dict(), "optimizer": optimizer.state_dict(), "step": step}
    temporary = checkpoint.with_suffix(".tmp")
    torch.save(on_host(state), temporary)
    temporary.replace(checkpoint)
