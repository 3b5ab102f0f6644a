"""What held-out data alone tell of a trained prior: how likely, and how far from invertible."""

from __future__ import annotations

from typing import Any

import torch

from parrot_data.progress import Progress
from parrot_models.flows.matching import FlowMatching
from parrot_models.networks.chance import torch_generator
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.matching import distillation_metrics
from parrot_models.training.batches import Batches
from parrot_models.training.likelihood import log_prob_per_dim
from parrot_models.training.transitions import Batch

EVALUATION_BATCH = 1024
FARTHEST = 4.0  # latents that an agent may use lie no further out, in any dimension
LARGEST_LATENT_ERROR = 1e-2  # beyond it two latents of an agent may mean the same action
RESTORED_WITHIN = (
    1e-3  # of a normalised action, in each dimension: f gave back what it was inverted at
)
NUM_DISTILLED = 4  # batches that the errors of a matched flow are measured on


def measure(
    prior: BehavioralPrior, batches: Batches, seed: int, progress: Progress
) -> dict[str, Any]:
    """Likelihood and invertibility on held-out episodes, all of normalised actions.

    Args:
        prior: frozen.
        batches: the data it was trained on, and held-out episodes.
        seed: of latents.
        progress: called once.
    """
    held_out = list(batches.held_out(EVALUATION_BATCH))
    progress(1, 1, "likelihood of held-out episodes")
    metrics: dict[str, Any] = {
        "log_prob_per_dim": log_prob_per_dim(prior, held_out, "fp32"),
        "inverse_error": inverse_error(prior, held_out[0]),
        "num_parameters": sum(parameter.numel() for parameter in prior.parameters()),
        **latent_metrics(prior, held_out[0], seed),
    }
    if isinstance(prior.flow, FlowMatching):
        metrics |= distillation_metrics(prior, held_out[:NUM_DISTILLED], seed)
    return metrics


@torch.inference_mode()
def inverse_error(prior: BehavioralPrior, batch: Batch) -> float:
    """Largest |f(f^-1(a; s); s) - a| over a batch: what is left of invertibility.

    Of couplings only float32 takes from it; a matched flow's f is the one step that acts.
    """
    batch = batch.to(prior.device)
    context = prior.context(batch.observations)
    actions = prior.action_scale.normalised(batch.actions)
    z, _ = prior.flow.inverse(actions, context)
    return float((prior.flow.decode(z, context) - actions).abs().max())


@torch.inference_mode()
def latent_metrics(prior: BehavioralPrior, batch: Batch, seed: int) -> dict[str, Any]:
    """How well z is found again over the latents that an agent may use: |f^-1(f(z; s); s) - z|.

    Of a matched flow it is that of the fine integration, which has an inverse. A latent per row of
    the batch from N(0, I), cut off at `FARTHEST`, and one from the box of as wide a half-width.

    Returns:
        latent_inverse_error: the largest of all.
        latent_inverse_error_typical: the median of the largest of a row.
        latents_found_again: whether no error is beyond `LARGEST_LATENT_ERROR`.
    """
    here, chance = batch.to(prior.device), torch_generator(seed, "prior: latents")
    context = prior.context(here.observations)
    shape = (len(context), prior.latent_dim)
    normal = torch.randn(shape, generator=chance).clamp(-FARTHEST, FARTHEST)
    boxed = FARTHEST * (2 * torch.rand(shape, generator=chance) - 1)
    errors = []
    for z in (normal.to(context.device), boxed.to(context.device)):
        actions, _ = prior.flow.forward(z, context)
        found, _ = prior.flow.inverse(actions, context)
        errors.append((found - z).abs().amax(1))
    rows = torch.cat(errors).nan_to_num(nan=torch.inf)
    largest, typical = float(rows.max()), float(rows.median())
    return {
        "latent_inverse_error": largest,
        "latent_inverse_error_typical": typical,
        "latents_found_again": largest <= LARGEST_LATENT_ERROR,
    }
