"""How a flow is trained on transitions, and how likely it finds those it never saw."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from parrot_models.networks.precision import layers_in
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.transitions import Batch


def negative_log_likelihood(prior: BehavioralPrior, batch: Batch, precision: str) -> Tensor:
    """Mean of -log p(a | s) over a batch, in nats per action dimension.

    Only the encoding runs in low precision: the flow's log_det would not survive it. The batch may
    lie anywhere.
    """
    batch = batch.to(prior.device)
    with layers_in(precision, prior.device):
        context = prior.context(batch.images, batch.proprioception)
    return -prior.log_prob(batch.actions, context.float()).mean() / prior.latent_dim


@torch.inference_mode()
def log_prob_per_dim(prior: BehavioralPrior, batches: Iterable[Batch], precision: str) -> float:
    """Mean log p(a | s) over transitions, in nats per action dimension."""
    total, count = 0.0, 0
    for batch in batches:
        total -= float(negative_log_likelihood(prior, batch, precision)) * len(batch.actions)
        count += len(batch.actions)
    return total / count


@torch.inference_mode()
def inverse_error(prior: BehavioralPrior, batch: Batch) -> float:
    """Largest |f(f^-1(a; s); s) - a| over a batch: what float32 leaves of invertibility."""
    batch = batch.to(prior.device)
    context = prior.context(batch.images, batch.proprioception)
    z, _ = prior.flow.inverse(batch.actions, context)
    return float((prior.decode(z, context) - batch.actions).abs().max())
