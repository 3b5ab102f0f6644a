"""How trajectories are learned: the bound that is raised, and how far off reconstructions are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress, Scalars
from parrot_data.streams import generator
from parrot_models.baselines.episodes import TrajectoryBatch, TrajectoryBatches
from parrot_models.baselines.params import TrajectoryParams
from parrot_models.baselines.pretraining import Pretraining
from parrot_models.baselines.trajectories_model import (
    TrajectoryArchitecture,
    TrajectoryVAE,
    path_of,
)
from parrot_models.networks.chance import torch_generator
from parrot_models.networks.choices import Precision
from parrot_models.networks.precision import layers_in
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import Batches
from parrot_models.training.fitting import fit, schedule_of
from parrot_models.training.history import curve_log

NUM_INIT = 4096  # trajectories that initialise mean images and scales
NUM_LOGGED = 1024  # of the training trajectories, for the curve
COLUMNS = ("train_elbo_per_dim", "validation_elbo_per_dim", "validation_kl")


@dataclass(frozen=True, eq=False)
class Bound:
    """The bound's parts for B trajectories, each (B,), nats a trajectory of normalised actions.

    Attributes:
        log_prob: log p(a_1..T | z, s_1) of one z ~ q.
        path_log_prob: log p(c_1..T | z, s_1) of the same.
        kl: KL(q | N(0, I)).
    """

    log_prob: Tensor
    path_log_prob: Tensor
    kl: Tensor

    def raised(self, kl_weight: float) -> Tensor:
        """What training raises, summed over the trajectories."""
        return (self.log_prob + self.path_log_prob - kl_weight * self.kl).sum()


def bound_of(
    model: TrajectoryVAE, batch: TrajectoryBatch, context: Tensor, noise: torch.Generator
) -> Bound:
    """The bound's parts; of each trajectory those steps count that there are.

    Args:
        model: the VAE.
        batch: B trajectories.
        context: (B, context_dim), of what is seen before the first step.
        noise: draws z.
    """
    mean, std = model.encode(batch.actions, batch.is_step, context)
    z = mean + std * torch.randn(mean.shape, generator=noise)
    actions, decoded = (
        model.action_scale.normalised(batch.actions),
        model.decode_normalised(z, context),
    )
    paths = path_of(actions), path_of(decoded)
    return Bound(
        log_prob=_log_prob(actions, decoded, model.log_std_action, batch.is_step),
        path_log_prob=_log_prob(*paths, model.log_std_path, batch.is_step),
        kl=(0.5 * (mean.square() + std.square() - 1) - std.log()).sum(-1),
    )


def _log_prob(values: Tensor, mean: Tensor, log_std: Tensor, is_step: Tensor) -> Tensor:
    """Log-density (B,) of values (B, T, D) at the steps that there are."""
    density = Normal(mean, log_std.exp(), validate_args=False)
    log_prob: Tensor = density.log_prob(values)  # type: ignore[no-untyped-call]
    return (log_prob.sum(-1) * is_step).sum(1)


def num_dims_of(batch: TrajectoryBatch) -> int:
    """Numbers in the actions of a batch, of the steps that there are."""
    return int(batch.is_step.sum()) * batch.actions.shape[-1]


@torch.inference_mode()
def bound_metrics(
    model: TrajectoryVAE, batches: Iterable[TrajectoryBatch], seed: int, precision: Precision
) -> dict[str, float]:
    """The ELBO of normalised actions and its parts; the same chance at every call.

    Returns:
        elbo_per_dim, log_prob_per_dim: nats per action dimension; kl: nats a trajectory.
    """
    noise = torch_generator(seed, "trajectories: bound")
    log_prob = kl = count = num_dims = 0.0
    for batch in batches:
        with layers_in(precision, model.device):
            context = model.context(batch.observations)
        bound = bound_of(model, batch, context, noise)
        log_prob += float(bound.log_prob.sum())
        kl += float(bound.kl.sum())
        count += len(batch.actions)
        num_dims += num_dims_of(batch)
    return {
        "elbo_per_dim": (log_prob - kl) / num_dims,
        "log_prob_per_dim": log_prob / num_dims,
        "kl": kl / count,
    }


@torch.inference_mode()
def error_metrics(model: TrajectoryVAE, batches: Iterable[TrajectoryBatch]) -> dict[str, Any]:
    """How far what the posterior's mean decodes to is from the trajectories, in normalised actions.

    Returns:
        action_error: by the number of the dimension, root of the mean square.
        path_error: mean distance between the two paths, over all steps.
    """
    errors, distances = [], []
    for batch in batches:
        context = model.context(batch.observations)
        z, _ = model.encode(batch.actions, batch.is_step, context)
        decoded = model.decode_normalised(z, context)
        actions = model.action_scale.normalised(batch.actions)
        errors.append((decoded - actions)[batch.is_step])
        distances.append((path_of(decoded) - path_of(actions)).norm(dim=-1)[batch.is_step])
    by_dim = torch.cat(errors).square().mean(0).sqrt().tolist()
    return {
        "action_error": {str(dim): error for dim, error in enumerate(by_dim)},
        "path_error": float(torch.cat(distances).mean()),
    }


def make_model(params: TrajectoryParams, spec: EpisodeSpec) -> TrajectoryVAE:
    """The model that these params ask for, with freshly drawn weights."""
    architecture = TrajectoryArchitecture(
        spec=spec,
        encoder=params.encoder,
        context_dim=params.context_dim,
        hidden=params.hidden,
        latent_dim=params.latent_dim,
        num_steps=params.chunk_steps,
    )
    return TrajectoryVAE(architecture)


def fit_model(
    params: TrajectoryParams,
    model: TrajectoryVAE,
    batches: Batches,
    work: Path,
    progress: Progress,
    scalars: Scalars,
) -> None:
    """Raise the bound of `trajectories_model`; the ELBO's curve goes to `work / history.csv`."""
    trajectories = TrajectoryBatches(batches, params.chunk_steps)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = trajectories.sample(NUM_INIT, generator(params.seed, "trajectories: first batch"))
    model.init_from_data(some.observations, some.actions[some.is_step])
    augmentation = augmentation_of(
        params.augment, batches.spec, "pretrain.trajectories", params.observation_noise
    ).informed_by(some.observations)
    logged = trajectories.sample(NUM_LOGGED, generator(params.seed, "trajectories: logged"))

    def measured() -> list[float]:
        held_out = trajectories.held_out(params.batch_size)
        trained = bound_metrics(model, [logged], params.seed, params.precision)
        validated = bound_metrics(model, held_out, params.seed, params.precision)
        return [trained["elbo_per_dim"], validated["elbo_per_dim"], validated["kl"]]

    curve = work / "history.csv"
    log = curve_log(curve, COLUMNS, measured)

    def loss_at(step: int) -> Tensor:
        rng = generator(params.seed, "trajectories: step", step)
        batch = trajectories.share(step, params.batch_size, rng)
        rng = batches.ranks.own(rng)
        batch = replace(batch, first=augmentation(batch.first, rng))
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        return trajectory_loss(model, batch, noise, params.kl_weight, params.precision)

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"trajectories, loss {loss:.3f} a dimension")
        if params.is_logged(step + 1):
            log(step + 1)

    checkpoint = work / "trajectories.checkpoint"
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


def trajectory_loss(
    model: TrajectoryVAE,
    batch: TrajectoryBatch,
    noise: torch.Generator,
    kl_weight: float,
    precision: Precision,
) -> Tensor:
    """Negative bound, nats per action dimension; only the encoding runs at this precision."""
    with layers_in(precision, model.device):
        context = model.context(batch.observations)
    return -bound_of(model, batch, context, noise).raised(kl_weight) / num_dims_of(batch)


def measure_model(
    params: TrajectoryParams,
    model: TrajectoryVAE,
    batches: Batches,
    _work: Path,
    progress: Progress,
) -> dict[str, Any]:
    """The bound and its errors on held-out episodes."""
    trajectories = TrajectoryBatches(batches, params.chunk_steps)
    progress(1, 1, "bound of held-out episodes")
    return {
        **bound_metrics(model, trajectories.held_out(params.batch_size), params.seed, "fp32"),
        **error_metrics(model, trajectories.held_out(params.batch_size)),
    }


TRAJECTORIES = Pretraining(
    make=make_model,
    fit=fit_model,
    measure=measure_model,
    card="A VAE over sequences of actions, given what is seen before the first; decoded and "
    "executed open loop. Fitted to successful episodes.",
)
