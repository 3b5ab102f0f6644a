"""The training of a prior's flow, by likelihood or by matching."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from parrot_data.progress import Progress, Scalars
from parrot_data.streams import generator
from parrot_models.flows.matching import FlowMatching
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.matching import distillation_loss, matched_flow, matching_loss
from parrot_models.prior.params import TrainPriorParams
from parrot_models.training.augment import Augmentation
from parrot_models.training.batches import Batches
from parrot_models.training.fitting import fit, schedule_of
from parrot_models.training.likelihood import likelihood_log, negative_log_likelihood
from parrot_models.training.ranks import Ranks
from parrot_models.training.transitions import Batch

NUM_INIT = 4096  # transitions that initialise the mean images, scales and the flow's normalisation
NUM_LOGGED = 4096  # of the training transitions, for the likelihood curve
NUM_LOGGED_OF_MATCHED = 512  # of either kind: there a density costs two hundred times as much


def fit_flow(
    params: TrainPriorParams,
    prior: BehavioralPrior,
    augmentation: Augmentation,
    batches: Batches,
    work: Path,
    progress: Progress,
    scalars: Scalars,
) -> None:
    """Maximise the likelihood of the data's actions, or match it, where the prior lies.

    Mean images and scales are taken from the data before. The keypoints stay as they are. A matched
    flow then learns to act in one step.
    """
    is_matched, draws = isinstance(prior.flow, FlowMatching), params.flows.matching.draws
    if prior.keypoints is not None:
        prior.keypoints.requires_grad_(False)
    prior.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, generator(params.seed, "flow: first batch"))
    painting = augmentation.informed_by(some.observations)
    some = some.to(prior.device)
    with torch.no_grad():
        prior.init_from_data(some.observations, some.actions)
        actions = prior.action_scale.normalised(some.actions)
        prior.flow.init_from_data(actions, prior.context(some.observations))

    def draw(step: int, rng: np.random.Generator) -> tuple[Batch, np.random.Generator]:
        batch = batches.share(step, params.batch_size, rng)
        own = batches.ranks.own(rng)
        return painting(batch, own), own

    def loss_at(step: int) -> torch.Tensor:
        rng = generator(params.seed, "flow: step", step)
        batch, rng = draw(step, rng)
        if is_matched:
            return matching_loss(prior, batch, draws, params.precision, rng)
        return negative_log_likelihood(prior, batch, params.precision)

    num_logged = min(NUM_LOGGED, NUM_LOGGED_OF_MATCHED) if is_matched else NUM_LOGGED
    logged = batches.sample(num_logged, generator(params.seed, "flow: logged"))
    curve = work / "history.csv"
    log = likelihood_log(
        prior, logged, batches, params.batch_size, params.precision, curve,
        num_held_out=num_logged if is_matched else None,
    )  # fmt: skip

    def after_step(step: int, loss: float) -> None:
        told = f"loss {loss:.4f}" if is_matched else f"log-likelihood {-loss:.3f} a dimension"
        progress(step + 1, params.steps, f"flow, {told}")
        if params.is_logged(step + 1):
            log(step + 1)

    later = set(matched_flow(prior).one_step.parameters()) if is_matched else set()
    trained = [p for p in prior.parameters() if p.requires_grad and p not in later]
    schedule = schedule_of(params, params.steps, params.learning_rate)
    checkpoint = work / "flow.checkpoint"
    ranks = batches.ranks
    fit(prior, trained, loss_at, schedule, checkpoint, after_step, curve, scalars, ranks)
    if is_matched:
        _fit_one_step(params, prior, draw, work, progress, scalars, ranks)


def _fit_one_step(
    params: TrainPriorParams,
    prior: BehavioralPrior,
    draw: Callable[[int, np.random.Generator], tuple[Batch, np.random.Generator]],
    work: Path,
    progress: Progress,
    scalars: Scalars,
    ranks: Ranks,
) -> None:
    """Teach the step that acts to arrive where the flow does; all else stays as it is.

    `draw` makes the batch of a step from the step's randomness, and gives back the rest of it.
    """
    flow, matching = matched_flow(prior), params.flows.matching
    flow.begin_distillation()

    def loss_at(step: int) -> torch.Tensor:
        rng = generator(params.seed, "one step: step", step)
        batch, rng = draw(step, rng)
        return distillation_loss(prior, batch, matching.draws, params.precision, rng)

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, matching.distillation_steps, f"one step, loss {loss:.4f}")

    schedule = schedule_of(params, matching.distillation_steps, matching.distillation_learning_rate)
    weights = list(flow.one_step.parameters())
    checkpoint = work / "one_step.checkpoint"
    fit(prior, weights, loss_at, schedule, checkpoint, after_step, scalars=scalars, ranks=ranks)
