"""How a policy is cloned from transitions, and what it is judged by."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from parrot_data.envs.params import EnvironmentParams
from parrot_data.envs.tabletop import ACTION_DIM, Observation
from parrot_data.progress import Progress
from parrot_models.baselines.behavior_cloning import BehaviorCloning
from parrot_models.networks.device import CPU
from parrot_models.networks.precision import layers_in
from parrot_models.prior.augment import augment
from parrot_models.prior.batches import TransitionBatches, step_generator
from parrot_models.prior.fitting import Schedule, fit
from parrot_models.prior.rollouts import SelectAction, rollout_rates, unseen_scenes
from parrot_models.prior.transitions import Batch

WEIGHT_DECAY = 1e-3
NUM_INIT = 4096  # transitions that initialise the mean picture
NUM_LOGGED = 4096  # of the training transitions, for the likelihood curve
NUM_ROLLOUT_OBJECTS = 2  # as in the metrics of a prior
FIT_STREAM, INIT_STREAM = 3, 4  # those of the prior are 0 to 2


class CloningParams(BaseModel):
    """`pretrain.bc` of params.yaml.

    Attributes:
        seed: of weights and batches.
        held_out_fraction: share of the episodes kept for validation.
        augment: whether to mirror scenes and shuffle colours.
        precision: "bf16" or "fp32" products in the convolutions.
        gradient_clip: largest norm of a gradient.
        log_every, checkpoint_every: steps between rows of the likelihood curve, and checkpoints.
        encoder, feature_dim, context_dim, hidden: see `CloneArchitecture`.
        steps, batch_size, learning_rate: how the policy is fitted.
        rollout_seed, rollout_episodes: of the rollouts in scenes of unseen objects, per family.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seed: int = Field(ge=0)
    held_out_fraction: float = Field(gt=0, lt=1)
    augment: bool
    precision: Literal["bf16", "fp32"]
    gradient_clip: float = Field(gt=0)
    log_every: int = Field(ge=1)
    checkpoint_every: int = Field(ge=1)
    encoder: Literal["foveal", "fast", "paper"]
    feature_dim: int = Field(ge=1)
    context_dim: int = Field(ge=1)
    hidden: list[int] = Field(min_length=1)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    learning_rate: float = Field(gt=0)
    rollout_seed: int = Field(ge=0)
    rollout_episodes: int = Field(ge=1)


def fit_policy(
    params: CloningParams,
    policy: BehaviorCloning,
    batches: TransitionBatches,
    work: Path,
    progress: Progress,
) -> None:
    """Maximise the likelihood of the data's actions; the curve goes to `work / history.csv`."""
    policy.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, step_generator(params.seed, 0, INIT_STREAM))
    policy.init_from_data(some.images)
    log = _likelihood_log(params, policy, batches, work / "history.csv")

    def loss_at(step: int) -> torch.Tensor:
        rng = step_generator(params.seed, step, FIT_STREAM)
        batch = batches.sample(params.batch_size, rng)
        return _loss(policy, augment(batch, rng) if params.augment else batch, params.precision)

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"cloning, log-likelihood {-loss:.3f} a dimension")
        if (step + 1) % params.log_every == 0 or step + 1 == params.steps:
            log(step + 1)

    schedule = Schedule(
        params.steps, params.learning_rate, params.gradient_clip, WEIGHT_DECAY,
        params.checkpoint_every,
    )  # fmt: skip
    weights = list(policy.parameters())
    fit(policy, weights, loss_at, schedule, work / "policy.checkpoint", after_step)


def judge_policy(
    params: CloningParams,
    policy: BehaviorCloning,
    batches: TransitionBatches,
    environment: EnvironmentParams,
) -> dict[str, Any]:
    """Likelihood of held-out episodes and rollouts in unseen scenes, under a prior's names."""
    held_out = batches.held_out(params.batch_size)
    metrics: dict[str, Any] = {"log_prob_per_dim": _log_prob_per_dim(policy, held_out, "fp32")}
    for family in ("pick", "place"):
        env = unseen_scenes(environment, family, NUM_ROLLOUT_OBJECTS)
        select_action = cloned_policy(policy, torch.Generator().manual_seed(params.rollout_seed))
        rates = rollout_rates(env, select_action, params.rollout_seed, params.rollout_episodes)
        env.close()
        metrics[f"{family}_rollout_success_rate"] = rates.success_rate
        metrics[f"{family}_rollout_any_object_rate"] = rates.any_object_rate
        metrics[f"{family}_rollout_touch_rate"] = rates.touch_rate
    for rate in ("success_rate", "any_object_rate", "touch_rate"):
        of_both = [metrics[f"{family}_rollout_{rate}"] for family in ("pick", "place")]
        metrics[f"rollout_{rate}"] = sum(of_both) / 2
    return metrics


def cloned_policy(policy: BehaviorCloning, generator: torch.Generator) -> SelectAction:
    """Sample a ~ p(a | s) anew at every step."""

    @torch.inference_mode()
    def select_action(observation: Observation) -> Any:
        seen = observation.get("proprioception")
        proprioception = None if seen is None else torch.from_numpy(seen)[None]
        context = policy.context(torch.from_numpy(observation["image"])[None], proprioception)
        return policy.sample(context, generator)[0].numpy()

    return select_action


def _loss(policy: BehaviorCloning, batch: Batch, precision: str) -> torch.Tensor:
    """Mean of -log p(a | s), in nats per action dimension; only the encoding in low precision."""
    with layers_in(precision, CPU):
        context = policy.context(batch.images, batch.proprioception)
    return -policy.log_prob(batch.actions, context).mean() / ACTION_DIM


@torch.inference_mode()
def _log_prob_per_dim(policy: BehaviorCloning, batches: Iterable[Batch], precision: str) -> float:
    total, count = 0.0, 0
    for batch in batches:
        total -= float(_loss(policy, batch, precision)) * len(batch.actions)
        count += len(batch.actions)
    return total / count


def _likelihood_log(
    params: CloningParams, policy: BehaviorCloning, batches: TransitionBatches, path: Path
) -> Callable[[int], None]:
    """Write the likelihood curve row by row; rows of steps done again are overwritten."""
    train = [batches.sample(NUM_LOGGED, step_generator(params.seed, 1, INIT_STREAM))]
    rows: dict[int, tuple[float, float]] = {}
    if path.exists():
        with path.open(newline="") as file:
            rows = {int(r[0]): (float(r[1]), float(r[2])) for r in list(csv.reader(file))[1:]}

    def log(step: int) -> None:
        held_out = batches.held_out(params.batch_size)
        rows[step] = (
            _log_prob_per_dim(policy, train, params.precision),
            _log_prob_per_dim(policy, held_out, params.precision),
        )
        lines = ["step,train_log_prob_per_dim,validation_log_prob_per_dim"]
        lines += [f"{s},{rows[s][0]:.5f},{rows[s][1]:.5f}" for s in sorted(rows) if s <= step]
        temporary = path.with_suffix(".tmp")  # a torn row could not be resumed from
        temporary.write_text("\n".join(lines) + "\n")
        temporary.replace(path)

    return log
