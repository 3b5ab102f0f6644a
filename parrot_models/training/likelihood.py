"""How likely a density finds actions: what it is trained by, and what it is judged by."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from parrot_models.networks.choices import Precision
from parrot_models.networks.observations import Observations
from parrot_models.networks.precision import layers_in
from parrot_models.training.batches import Batches
from parrot_models.training.history import curve_log
from parrot_models.training.transitions import Batch


class ActionDensity(Protocol):
    """p(a | s), such as a behavioral prior or a cloned policy."""

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""

    def context(self, observations: Observations, /) -> Tensor:
        """Encoded observations (B, C)."""

    def log_prob(self, actions: Tensor, context: Tensor, /) -> Tensor:
        """Density of the normalised actions (see `ActionScale`) given s, (B,), summed over A.

        `actions` (B, A) are in the robot's units.
        """


def negative_log_likelihood(density: ActionDensity, batch: Batch, precision: Precision) -> Tensor:
    """Mean of -log p(a | s) of normalised actions over a batch, in nats per action dimension.

    Only the encoding runs in low precision: a flow's log_det would not survive it. The batch may
    lie anywhere.
    """
    batch = batch.to(density.device)
    with layers_in(precision, density.device):
        context = density.context(batch.observations)
    return -density.log_prob(batch.actions, context.float()).mean() / batch.actions.shape[1]


@torch.inference_mode()
def log_prob_per_dim(
    density: ActionDensity, batches: Iterable[Batch], precision: Precision
) -> float:
    """Mean log p(a | s) of normalised actions over transitions, in nats per action dimension."""
    total, count = 0.0, 0
    for batch in batches:
        total -= float(negative_log_likelihood(density, batch, precision)) * len(batch.actions)
        count += len(batch.actions)
    return total / count


def likelihood_log(
    density: ActionDensity,
    train: Batch,
    batches: Batches,
    batch_size: int,
    precision: Precision,
    path: Path,
    num_held_out: int | None = None,
) -> Callable[[int], None]:
    """Log the likelihood of training transitions, and of held-out ones; see `curve_log`.

    Of the held-out ones all, or whole batches of the first `num_held_out`.
    """
    num_batches = None if num_held_out is None else math.ceil(num_held_out / batch_size)

    def measure() -> tuple[float, float]:
        held_out = islice(batches.held_out(batch_size), num_batches)
        return (
            log_prob_per_dim(density, [train], precision),
            log_prob_per_dim(density, held_out, precision),
        )

    return curve_log(path, ["train_log_prob_per_dim", "validation_log_prob_per_dim"], measure)
