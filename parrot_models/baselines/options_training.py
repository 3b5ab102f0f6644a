"""How options are discovered in demonstrations: the bound that is raised, and its parts."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress, Scalars
from parrot_data.streams import generator
from parrot_models.baselines.episodes import (
    EpisodeBatch,
    EpisodeBatches,
    at_steps,
    augment_episodes,
)
from parrot_models.baselines.options_model import OptionArchitecture, OptionModel, Segmentation
from parrot_models.baselines.params import OptionParams
from parrot_models.baselines.pretraining import Pretraining
from parrot_models.networks.chance import torch_generator
from parrot_models.networks.choices import Precision
from parrot_models.networks.precision import layers_in
from parrot_models.training.augment import Augmentation, augmentation_of
from parrot_models.training.batches import Batches
from parrot_models.training.fitting import fit, schedule_of
from parrot_models.training.history import curve_log

NUM_INIT = 4096  # transitions that initialise mean images and scales
NUM_LOGGED = 256  # training episodes, for the curve
KL_WARMUP_FRACTION = 0.5  # a policy that learned to act without z first would never need it
RATE_WEIGHT = 10.0  # nats a step; a boundary at every step gains several, and must not pay
COLUMNS = (
    "train_bound_per_dim", "validation_bound_per_dim", "validation_log_prob_per_dim",
    "validation_options_per_episode",
)  # fmt: skip


def option_loss(
    model: OptionModel,
    batch: EpisodeBatch,
    generator: torch.Generator,
    *,
    kl_weight: float,
    option_steps: float,
    precision: Precision,
) -> Tensor:
    """Negative bound, in nats per action dimension, plus the loss of the endings' head.

    Args:
        model: what to train.
        batch: episodes, some steps of which are seen: there the low-level policy is judged.
        generator: draws boundaries and latents from the posterior.
        kl_weight: w in `options_model`.
        option_steps: K in `options_model`.
        precision: "bf16" or "fp32", of the encoding alone.
    """
    found, context = _encoded(model, batch, generator, precision)
    num_steps = batch.is_step.sum()
    log_prob = _log_prob(model, batch, found, context) / num_steps
    of_latents = kl_weight * found.latent_divergences.sum() / num_steps
    of_rate = RATE_WEIGHT * found.rate_divergence(1 / option_steps)
    loss = (of_latents + of_rate - log_prob) / batch.actions.shape[-1]
    end_log_prob, num_ends = _end_log_prob(model, batch, found, context)
    return loss - end_log_prob / num_ends.clamp_min(1)


@torch.inference_mode()
def bound_parts(
    model: OptionModel, batches: Iterable[EpisodeBatch], seed: int, precision: Precision
) -> dict[str, float]:
    """What the bound of normalised actions is made of; options are drawn from the posterior.

    Returns:
        bound_per_dim: log_prob_per_dim less the KL, in nats per action dimension.
        log_prob_per_dim: of actions given the options, in nats per action dimension.
        latent_kl: nats an episode.
        end_log_prob: nats a step, of whether an option ends there.
        options_per_episode, option_steps: number of options, and their mean length in steps.
    """
    generator = torch_generator(seed, "options: bound")
    rows, dim = [], 1
    for batch in batches:
        found, context = _encoded(model, batch, generator, precision)
        values = (
            _log_prob(model, batch, found, context),
            found.latent_divergences.sum(),
            *_end_log_prob(model, batch, found, context),
            found.boundaries.sum(),
            batch.is_step.sum(),
        )
        rows.append([*map(float, values), len(batch.actions)])
        dim = batch.actions.shape[-1]
    sums = np.sum(rows, 0).tolist()
    log_prob, latent_kl, end_log_prob, num_ends, num_options, num_steps, num_episodes = sums
    return {
        "bound_per_dim": (log_prob - latent_kl) / (num_steps * dim),
        "log_prob_per_dim": log_prob / (num_steps * dim),
        "latent_kl": latent_kl / num_episodes,
        "end_log_prob": end_log_prob / max(1.0, num_ends),
        "options_per_episode": num_options / num_episodes,
        "option_steps": num_steps / num_options,
    }


def _encoded(
    model: OptionModel, batch: EpisodeBatch, generator: torch.Generator, precision: Precision
) -> tuple[Segmentation, Tensor]:
    """The options of the episodes, and the context (B * M, C) at the steps that are seen."""
    found = model.posterior(batch.vectors, batch.actions, batch.is_step, generator)
    with layers_in(precision, model.device):
        context = model.context(batch.seen())
    return found, context


def _log_prob(
    model: OptionModel, batch: EpisodeBatch, found: Segmentation, context: Tensor
) -> Tensor:
    """Sum of log p(a_t | s_t, z_t) over all steps, for which those that are seen stand, ()."""
    actions, latents = batch.at_steps(batch.actions), batch.at_steps(found.latents)
    return (batch.weights() * model.log_prob(actions, latents, context)).sum()


def _end_log_prob(
    model: OptionModel, batch: EpisodeBatch, found: Segmentation, context: Tensor
) -> tuple[Tensor, Tensor]:
    """Sum of log p(b_t | s_t, z_{t-1}) of q's boundaries, and of how many, ().

    Only its own head learns from it.
    """
    before = at_steps(found.latents, (batch.steps - 1).clamp_min(0)).detach()
    boundaries = batch.at_steps(found.probabilities).detach()
    log_prob = -functional.binary_cross_entropy_with_logits(
        model.end_logits(before, context.detach()), boundaries, reduction="none"
    )
    weights = batch.weights() * (batch.steps > 0).flatten()
    return (weights * log_prob).sum(), weights.sum()


def make_options(params: OptionParams, spec: EpisodeSpec) -> OptionModel:
    """The model that these params ask for, with freshly drawn weights."""
    architecture = OptionArchitecture(
        spec=spec,
        encoder=params.encoder,
        context_dim=params.context_dim,
        hidden=params.hidden,
        latent_dim=params.latent_dim,
        posterior_width=params.posterior_width,
    )
    return OptionModel(architecture)


def fit_options(
    params: OptionParams,
    model: OptionModel,
    batches: Batches,
    work: Path,
    progress: Progress,
    scalars: Scalars,
) -> None:
    """Raise the bound of `options_model`; its curve goes to `work / history.csv`."""
    episodes = EpisodeBatches(batches)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, generator(params.seed, "options: first batch"))
    model.init_from_data(some.observations, some.actions)
    augmentation = augmentation_of(
        params.augment, batches.spec, "pretrain.options", params.observation_noise
    ).informed_by(some.observations)
    rng = generator(params.seed, "options: logged")
    logged = episodes.sample(NUM_LOGGED, params.images_per_episode, rng)

    def measure() -> list[float]:
        held_out = episodes.held_out(params.batch_size)
        unseen = bound_parts(model, held_out, params.seed, params.precision)
        seen = bound_parts(model, [logged], params.seed, params.precision)
        of_unseen = [unseen[n] for n in ("bound_per_dim", "log_prob_per_dim")]
        return [seen["bound_per_dim"], *of_unseen, unseen["options_per_episode"]]

    curve = work / "history.csv"
    log = curve_log(curve, COLUMNS, measure)

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"options, bound {-loss:.3f} a dimension")
        if params.is_logged(step + 1):
            log(step + 1)

    def loss_at(step: int) -> Tensor:
        return _loss_at(params, model, episodes, augmentation, step)

    checkpoint = work / "options.checkpoint"
    weights = list(model.parameters())
    fit(
        model,
        weights,
        loss_at,
        schedule_of(params, params.steps, params.learning_rate),
        checkpoint,
        after_step,
        curve,
        scalars,
        batches.ranks,
    )


def _loss_at(
    params: OptionParams,
    model: OptionModel,
    episodes: EpisodeBatches,
    augmentation: Augmentation,
    step: int,
) -> Tensor:
    rng = generator(params.seed, "options: step", step)
    batch = episodes.share(step, params.batch_size, params.images_per_episode, rng)
    rng = episodes.ranks.own(rng)
    batch = augment_episodes(batch, augmentation, rng)
    warmth = min(1.0, (step + 1) / (KL_WARMUP_FRACTION * params.steps))
    return option_loss(
        model,
        batch,
        torch.Generator().manual_seed(int(rng.integers(2**62))),
        kl_weight=params.kl_weight * warmth,
        option_steps=params.option_steps,
        precision=params.precision,
    )


def measure_options(
    params: OptionParams,
    model: OptionModel,
    batches: Batches,
    _work: Path,
    progress: Progress,
) -> dict[str, Any]:
    """The bound on held-out episodes, see `bound_parts`."""
    progress(1, 1, "bound of held-out episodes")
    held_out = EpisodeBatches(batches).held_out(params.batch_size)
    return bound_parts(model, held_out, params.seed, "fp32")


OPTIONS = Pretraining(
    make=make_options,
    fit=fit_options,
    measure=measure_options,
    card="Options: a policy over actions given what it sees and a latent option z, and when the "
    "option ends. Discovered in successful episodes by temporal variational inference (Shankar "
    "and Gupta 2020).",
)
