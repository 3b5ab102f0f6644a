"""How a policy is cloned from transitions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress, Scalars
from parrot_data.streams import generator
from parrot_models.baselines.bc_model import BehaviorCloning, CloneArchitecture
from parrot_models.baselines.params import CloningParams
from parrot_models.baselines.pretraining import Pretraining
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import Batches
from parrot_models.training.fitting import fit, schedule_of
from parrot_models.training.likelihood import (
    likelihood_log,
    log_prob_per_dim,
    negative_log_likelihood,
)

NUM_INIT = 4096  # transitions that initialise mean images and scales
NUM_LOGGED = 4096  # of the training transitions, for the likelihood curve


def make_policy(params: CloningParams, spec: EpisodeSpec) -> BehaviorCloning:
    """The policy that these params ask for, with freshly drawn weights."""
    architecture = CloneArchitecture(
        spec=spec,
        encoder=params.encoder,
        context_dim=params.context_dim,
        hidden=params.hidden,
    )
    return BehaviorCloning(architecture)


def fit_policy(
    params: CloningParams,
    policy: BehaviorCloning,
    batches: Batches,
    work: Path,
    progress: Progress,
    scalars: Scalars,
) -> None:
    """Maximise the likelihood of the data's actions; the curve goes to `work / history.csv`."""
    policy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, generator(params.seed, "bc: first batch"))
    policy.init_from_data(some.observations, some.actions)
    augmentation = augmentation_of(
        params.augment, batches.spec, "pretrain.bc", params.observation_noise
    ).informed_by(some.observations)
    logged = batches.sample(NUM_LOGGED, generator(params.seed, "bc: logged"))
    curve = work / "history.csv"
    log = likelihood_log(policy, logged, batches, params.batch_size, params.precision, curve)

    def loss_at(step: int) -> torch.Tensor:
        rng = generator(params.seed, "bc: step", step)
        batch = batches.share(step, params.batch_size, rng)
        batch = augmentation(batch, batches.ranks.own(rng))
        return negative_log_likelihood(policy, batch, params.precision)

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"cloning, log-likelihood {-loss:.3f} a dimension")
        if params.is_logged(step + 1):
            log(step + 1)

    checkpoint = work / "policy.checkpoint"
    weights = list(policy.parameters())
    fit(
        policy,
        weights,
        loss_at,
        schedule_of(params, params.steps, params.learning_rate),
        checkpoint,
        after_step,
        curve,
        scalars,
        batches.ranks,
    )


def measure_policy(
    params: CloningParams,
    policy: BehaviorCloning,
    batches: Batches,
    _work: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Likelihood of held-out episodes, under a prior's name."""
    progress(1, 1, "likelihood of held-out episodes")
    held_out = batches.held_out(params.batch_size)
    return {"log_prob_per_dim": log_prob_per_dim(policy, held_out, "fp32")}


BEHAVIOR_CLONING = Pretraining(
    make=make_policy,
    fit=fit_policy,
    measure=measure_policy,
    card="A Gaussian over actions, given what a behavioral prior is given; under a tanh where "
    "actions have bounds. Fitted by maximum likelihood to successful episodes.",
)
