"""How a policy is cloned from transitions, and what it is judged by."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from parrot_data.progress import Progress
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.bc_model import BehaviorCloning, CloneArchitecture
from parrot_models.baselines.params import CloningParams
from parrot_models.baselines.pretraining import Pretraining, schedule_of
from parrot_models.judging.rollouts import rollout_metrics, sampling_policy
from parrot_models.networks.chance import torch_generator
from parrot_models.training.augment import augment, backdrop_of
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.fitting import fit
from parrot_models.training.likelihood import (
    likelihood_log,
    log_prob_per_dim,
    negative_log_likelihood,
)

NUM_INIT = 4096  # transitions that initialise the mean picture
NUM_LOGGED = 4096  # of the training transitions, for the likelihood curve


def make_policy(params: CloningParams, environment: EnvironmentParams) -> BehaviorCloning:
    """The policy that these params ask for, with freshly drawn weights."""
    return BehaviorCloning(CloneArchitecture(**params.shapes(environment)))


def fit_policy(
    params: CloningParams,
    policy: BehaviorCloning,
    batches: TransitionBatches,
    work: Path,
    progress: Progress,
) -> None:
    """Maximise the likelihood of the data's actions; the curve goes to `work / history.csv`."""
    policy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, generator(params.seed, "bc: first batch"))
    policy.init_from_data(some.images)
    backdrop = backdrop_of(some.images)
    logged = batches.sample(NUM_LOGGED, generator(params.seed, "bc: logged"))
    curve = work / "history.csv"
    log = likelihood_log(policy, logged, batches, params.batch_size, params.precision, curve)

    def loss_at(step: int) -> torch.Tensor:
        rng = generator(params.seed, "bc: step", step)
        batch = batches.sample(params.batch_size, rng)
        return negative_log_likelihood(
            policy, augment(batch, rng, backdrop) if params.augment else batch, params.precision
        )

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"cloning, log-likelihood {-loss:.3f} a dimension")
        if params.is_logged(step + 1):
            log(step + 1)

    checkpoint = work / "policy.checkpoint"
    weights = list(policy.parameters())
    fit(policy, weights, loss_at, schedule_of(params), checkpoint, after_step, curve)


def judge_policy(
    params: CloningParams,
    policy: BehaviorCloning,
    batches: TransitionBatches,
    environment: EnvironmentParams,
    _work: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Likelihood of held-out episodes and rollouts in unseen scenes, under a prior's names."""
    held_out = batches.held_out(params.batch_size)
    rollouts = rollout_metrics(
        environment,
        {
            "rollout": lambda: sampling_policy(
                policy, torch_generator(params.rollout_seed, "bc: rollouts")
            )
        },
        params.rollout_seed,
        params.rollout_episodes,
        lambda part, family: progress(part, 2, f"rollouts, {family}"),
    )
    return {"log_prob_per_dim": log_prob_per_dim(policy, held_out, "fp32"), **rollouts}


BEHAVIOR_CLONING = Pretraining(
    make=make_policy,
    fit=fit_policy,
    judge=judge_policy,
    card="A Gaussian over 7-D actions of a tabletop arm, under a tanh, given what a behavioral "
    "prior is given. Fitted by maximum likelihood to successful scripted episodes.",
)
