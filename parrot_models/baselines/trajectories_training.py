"""How trajectories are learned, and what the model of them is judged by."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import torch

from parrot_data.progress import Progress
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.demonstrations import reproduced_rate
from parrot_models.baselines.params import TrajectoryParams
from parrot_models.baselines.pretraining import Pretraining, schedule_of
from parrot_models.baselines.trajectories_model import TrajectoryArchitecture, TrajectoryVAE
from parrot_models.baselines.trajectory_batches import TrajectoryBatches
from parrot_models.baselines.trajectory_bound import bound_metrics, bound_of, error_metrics
from parrot_models.baselines.trajectory_policies import act_out, random_trajectories
from parrot_models.judging.rollouts import FAMILIES, rollout_metrics
from parrot_models.networks.chance import torch_generator
from parrot_models.networks.precision import layers_in
from parrot_models.training.augment import augment, backdrop_of
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.fitting import fit
from parrot_models.training.history import curve_log

NUM_INIT = 4096  # trajectories whose pictures initialise the mean picture
NUM_LOGGED = 1024  # of the training trajectories, for the curve
COLUMNS = ("train_elbo_per_dim", "validation_elbo_per_dim", "validation_kl")


def make_model(params: TrajectoryParams, environment: EnvironmentParams) -> TrajectoryVAE:
    """The model that these params ask for, with freshly drawn weights."""
    architecture = TrajectoryArchitecture(
        **params.shapes(environment),
        latent_dim=params.latent_dim,
        num_steps=params.chunk_steps,
    )
    return TrajectoryVAE(architecture)


def fit_model(
    params: TrajectoryParams,
    model: TrajectoryVAE,
    batches: TransitionBatches,
    work: Path,
    progress: Progress,
) -> None:
    """Raise the bound of `trajectory_vae`; the ELBO's curve goes to `work / history.csv`."""
    trajectories = TrajectoryBatches(batches, params.chunk_steps)
    model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = trajectories.sample(NUM_INIT, generator(params.seed, "trajectories: first batch"))
    model.init_from_data(some.images)
    backdrop = backdrop_of(some.images)
    logged = trajectories.sample(NUM_LOGGED, generator(params.seed, "trajectories: logged"))

    def measured() -> list[float]:
        held_out = trajectories.held_out(params.batch_size)
        trained = bound_metrics(model, [logged], params.seed, params.precision)
        validated = bound_metrics(model, held_out, params.seed, params.precision)
        return [trained["elbo_per_dim"], validated["elbo_per_dim"], validated["kl"]]

    curve = work / "history.csv"
    log = curve_log(curve, COLUMNS, measured)

    def loss_at(step: int) -> torch.Tensor:
        rng = generator(params.seed, "trajectories: step", step)
        batch = trajectories.sample(params.batch_size, rng)
        batch = augment(batch, rng, backdrop) if params.augment else batch
        noise = torch.Generator().manual_seed(int(rng.integers(2**62)))
        with layers_in(params.precision, model.device):
            context = model.context(batch.images, batch.proprioception)
        bound = bound_of(model, batch.actions, context, noise)
        return -bound.raised(params.kl_weight) / batch.actions[0].numel()

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"trajectories, loss {loss:.3f} a dimension")
        if params.is_logged(step + 1):
            log(step + 1)

    checkpoint = work / "trajectories.checkpoint"
    weights = list(model.parameters())
    fit(model, weights, loss_at, schedule_of(params), checkpoint, after_step, curve)


def judge_model(
    params: TrajectoryParams,
    model: TrajectoryVAE,
    batches: TransitionBatches,
    environment: EnvironmentParams,
    _work: Path,
    progress: Progress,
) -> dict[str, Any]:
    """The bound and its errors on held-out episodes, and what trajectories do in unseen scenes.

    `FAMILY_reproduced_rate` is the share of successful demonstrations that succeed again when they
    are encoded, decoded and acted out open loop; rollouts draw z from N(0, I).
    """
    trajectories = TrajectoryBatches(batches, params.chunk_steps)
    seed = params.rollout_seed
    progress(1, 5, "bound of held-out episodes")
    metrics: dict[str, Any] = {
        **bound_metrics(model, trajectories.held_out(params.batch_size), params.seed, "fp32"),
        **error_metrics(model, trajectories.held_out(params.batch_size)),
    }
    for part, family in enumerate(FAMILIES, start=2):
        progress(part, 5, f"demonstrations to reproduce, {family}")
        metrics[f"{family}_reproduced_rate"] = reproduced_rate(
            environment, family, seed, params.demonstrations, partial(act_out, model)
        )
    rollouts = rollout_metrics(
        environment,
        {
            "rollout": lambda: random_trajectories(
                model, torch_generator(seed, "trajectories: rollouts")
            )
        },
        seed,
        params.rollout_episodes,
        lambda part, family: progress(part + 3, 5, f"rollouts, {family}"),
    )
    return metrics | rollouts


TRAJECTORIES = Pretraining(
    make=make_model,
    fit=fit_model,
    judge=judge_model,
    card="A VAE over sequences of actions of a tabletop arm, given what is seen before the first; "
    "decoded and executed open loop. Fitted to successful scripted episodes.",
)
