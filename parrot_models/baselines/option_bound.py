"""The bound that discovering options raises, see `options`, and its parts."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from parrot_data.worlds.tabletop.env import ACTION_DIM
from parrot_models.baselines.episodes import EpisodeBatch, at_steps
from parrot_models.baselines.option_posterior import Segmentation
from parrot_models.baselines.options_model import OptionModel
from parrot_models.networks.chance import torch_generator
from parrot_models.networks.device import CPU
from parrot_models.networks.precision import layers_in

RATE_WEIGHT = 10.0  # nats a step; a boundary at every step gains several, and must not pay


def option_loss(
    model: OptionModel,
    batch: EpisodeBatch,
    generator: torch.Generator,
    *,
    kl_weight: float,
    option_steps: float,
    precision: str,
) -> Tensor:
    """Negative bound, in nats per action dimension, plus the loss of the endings' head.

    Args:
        model: what to train.
        batch: episodes with pictures of some steps, where the low-level policy is judged.
        generator: draws boundaries and latents from the posterior.
        kl_weight: w in `options`.
        option_steps: K in `options`.
        precision: "bf16" or "fp32", of the encoding alone.
    """
    found, context = _encoded(model, batch, generator, precision)
    log_prob = _log_prob(model, batch, found, context)
    of_latents = kl_weight * found.latent_divergences.mean()
    of_rate = RATE_WEIGHT * found.rate_divergence(1 / option_steps)
    loss = (of_latents + of_rate - log_prob) / ACTION_DIM
    return loss - _end_log_prob(model, batch, found, context)


@torch.inference_mode()
def bound_parts(
    model: OptionModel, batches: Iterable[EpisodeBatch], seed: int, precision: str
) -> dict[str, float]:
    """What the bound is made of, means over episodes; options are drawn from the posterior.

    Returns:
        bound_per_dim: log_prob_per_dim less latent_kl, in nats per action dimension.
        log_prob_per_dim: of actions given the options, in nats per action dimension.
        latent_kl: nats an episode.
        end_log_prob: nats a step, of whether an option ends there.
        options_per_episode, option_steps: number of options, and their mean length in steps.
    """
    generator = torch_generator(seed, "options: bound")
    sums, num_steps = np.zeros(4), 0
    num_episodes = 0
    for batch in batches:
        found, context = _encoded(model, batch, generator, precision)
        values = (
            _log_prob(model, batch, found, context) / ACTION_DIM,
            found.latent_divergences.sum(1).mean(),
            _end_log_prob(model, batch, found, context),
            found.boundaries.sum(1).mean(),
        )
        sums += len(batch.actions) * np.array([float(value) for value in values])
        num_episodes, num_steps = num_episodes + len(batch.actions), batch.actions.shape[1]
    log_prob, latent_kl, end_log_prob, num_options = (sums / num_episodes).tolist()
    return {
        "bound_per_dim": log_prob - latent_kl / (num_steps * ACTION_DIM),
        "log_prob_per_dim": log_prob,
        "latent_kl": latent_kl,
        "end_log_prob": end_log_prob,
        "options_per_episode": num_options,
        "option_steps": num_steps / num_options,
    }


def _encoded(
    model: OptionModel, batch: EpisodeBatch, generator: torch.Generator, precision: str
) -> tuple[Segmentation, Tensor]:
    """The options of the episodes, and the context (B * M, C) at the steps with pictures."""
    found = model.posterior(batch.proprioception, batch.actions, generator)
    with layers_in(precision, CPU):
        context = model.context(batch.images.flatten(0, 1), batch.at_steps(batch.proprioception))
    return found, context


def _log_prob(
    model: OptionModel, batch: EpisodeBatch, found: Segmentation, context: Tensor
) -> Tensor:
    """Mean log p(a_t | s_t, z_t) over the steps with pictures, ()."""
    actions, latents = batch.at_steps(batch.actions), batch.at_steps(found.latents)
    return model.log_prob(actions, latents, context).mean()


def _end_log_prob(
    model: OptionModel, batch: EpisodeBatch, found: Segmentation, context: Tensor
) -> Tensor:
    """Mean log p(b_t | s_t, z_{t-1}) of q's boundaries, (); only its own head learns from it."""
    before = at_steps(found.latents, (batch.steps - 1).clamp_min(0)).detach()
    boundaries = batch.at_steps(found.probabilities).detach()
    log_prob = -functional.binary_cross_entropy_with_logits(
        model.end_logits(before, context.detach()), boundaries, reduction="none"
    )
    has_before = (batch.steps > 0).flatten().to(log_prob)
    return (log_prob * has_before).sum() / has_before.sum().clamp_min(1)
