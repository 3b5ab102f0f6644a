"""Stage `train_prior`: from shards to a behavioral prior and to what its agents will see."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field

from parrot_data.envs.params import EnvironmentParams
from parrot_data.progress import Progress, silent
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.publish import (
    open_work,
    publish,
    read_json,
    sha256_file,
    sha256_sources,
    write_json,
)
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.image_encoder import scale_images
from parrot_models.networks.keypoints import KeypointAutoencoder
from parrot_models.prior.augment import augment
from parrot_models.prior.batches import TransitionBatches, step_generator
from parrot_models.prior.behavioral_prior import BehavioralPrior, PriorArchitecture
from parrot_models.prior.fitting import Schedule, fit
from parrot_models.prior.likelihood import (
    log_prob_per_dim,
    negative_log_likelihood,
    precision_context,
)
from parrot_models.prior.model_card import model_card
from parrot_models.prior.validation import validate

WEIGHT_DECAY = 1e-3
NUM_INIT = 4096  # transitions that initialise the mean picture and the flow's normalisation
NUM_LOGGED = 4096  # of the training transitions, for the likelihood curve
KEYPOINT_STREAM, FLOW_STREAM, INIT_STREAM = 0, 1, 2


class TrainPriorParams(BaseModel):
    """Section `train_prior` of params.yaml.

    Attributes:
        seed: of weights and batches.
        held_out_fraction: share of the episodes kept for validation.
        augment: whether to mirror scenes and shuffle colours.
        precision: "bf16" or "fp32" products while training the convolutions.
        gradient_clip: largest norm of a gradient.
        log_every, checkpoint_every: steps between rows of the likelihood curve, and checkpoints.
        num_keypoints, keypoint_width, foreground_weight: see `KeypointAutoencoder`.
        keypoint_steps, keypoint_batch_size, keypoint_learning_rate: how it is trained.
        encoder, feature_dim, context_dim, num_layers, hidden, max_log_scale: see
            `PriorArchitecture`.
        steps, batch_size, learning_rate: how the flow is trained.
        rollout_seed, rollout_episodes: of the rollouts in scenes of unseen objects, per family.
        probe_scenes: scenes a linear probe is fitted and tested on, per task.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seed: int = Field(ge=0)
    held_out_fraction: float = Field(gt=0, lt=1)
    augment: bool
    precision: Literal["bf16", "fp32"]
    gradient_clip: float = Field(gt=0)
    log_every: int = Field(ge=1)
    checkpoint_every: int = Field(ge=1)
    num_keypoints: int = Field(ge=1)
    keypoint_width: int = Field(ge=1)
    foreground_weight: float = Field(ge=1)
    keypoint_steps: int = Field(ge=1)
    keypoint_batch_size: int = Field(ge=2)
    keypoint_learning_rate: float = Field(gt=0)
    encoder: Literal["foveal", "fast", "paper"]
    feature_dim: int = Field(ge=1)
    context_dim: int = Field(ge=1)
    num_layers: int = Field(ge=2)
    hidden: list[int] = Field(min_length=1)
    max_log_scale: float = Field(gt=0)
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    learning_rate: float = Field(gt=0)
    rollout_seed: int = Field(ge=0)
    rollout_episodes: int = Field(ge=1)
    probe_scenes: int = Field(ge=10)


def train_prior(
    params: TrainPriorParams,
    environment: EnvironmentParams,
    data: Path,
    out: Path,
    *,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train keypoints, then the flow, then judge both; all under `out`.

    Written: prior.safetensors, config.json, history.csv (the likelihood curve), metrics.json and
    README.md (the model card). An interrupted run resumes from `<out>.partial`.

    Args:
        params: what to train.
        environment: the world the shards come from, for rollouts and probes.
        data: folder that `shard` wrote.
        out: folder of the result, replaced at the end.
        progress: told of every step.

    Returns:
        The metrics.

    Raises:
        UserError: a shard is missing or damaged, or training diverged.
    """
    read_json(data / MANIFEST)
    lineage = {
        "params": {"train_prior": params.model_dump(), "environment": environment.model_dump()},
        "data_manifest_sha256": sha256_file(data / MANIFEST),
    }
    code = sha256_sources(Path(__file__).parent)
    work = open_work(out, {**lineage, "code": code})
    cache = work / "cache"
    batches = TransitionBatches(data, cache, params.held_out_fraction, progress)
    torch.manual_seed(params.seed)  # weights are drawn by torch's own initialisers
    prior = BehavioralPrior(_architecture(params, environment))
    prior.keypoints.load_state_dict(_fit_keypoints(params, batches, work, progress))
    _fit_flow(params, prior, batches, work, progress)
    prior.eval().requires_grad_(False)
    prior.save(work, lineage)
    metrics = validate(
        prior, batches, environment, params.rollout_seed, params.rollout_episodes,
        params.probe_scenes, progress,
    )  # fmt: skip
    write_json(work / "metrics.json", metrics)
    (work / "README.md").write_text(model_card(lineage, metrics), encoding="utf-8")
    del batches  # unmaps the cache
    shutil.rmtree(cache)
    for checkpoint in work.glob("*.checkpoint"):
        checkpoint.unlink()
    publish(work, out)
    return metrics


def _architecture(params: TrainPriorParams, environment: EnvironmentParams) -> PriorArchitecture:
    return PriorArchitecture(
        image_size=environment.image_size,
        proprioception=environment.proprioception,
        encoder=params.encoder,
        feature_dim=params.feature_dim,
        num_keypoints=params.num_keypoints,
        keypoint_width=params.keypoint_width,
        context_dim=params.context_dim,
        num_layers=params.num_layers,
        hidden=params.hidden,
        max_log_scale=params.max_log_scale,
    )


def _fit_keypoints(
    params: TrainPriorParams, batches: TransitionBatches, work: Path, progress: Progress
) -> dict[str, torch.Tensor]:
    """Train the autoencoder; the weights of its encoder."""
    autoencoder = KeypointAutoencoder(
        batches.transitions.images.shape[1],
        params.num_keypoints,
        params.keypoint_width,
        params.foreground_weight,
    )
    some = batches.sample(NUM_INIT, step_generator(params.seed, 0, INIT_STREAM))
    mean_picture = scale_images(some.images).mean(0, keepdim=True)
    autoencoder.encoder.mean_picture.copy_(mean_picture)
    autoencoder.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_at(step: int) -> torch.Tensor:
        rng = step_generator(params.seed, step, KEYPOINT_STREAM)
        batch = batches.sample(params.keypoint_batch_size, rng)
        images = augment(batch, rng).images if params.augment else batch.images
        with precision_context(params.precision):
            return autoencoder.loss(images)

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.keypoint_steps, f"keypoints, loss {loss:.4f}")

    schedule = _schedule(params, params.keypoint_steps, params.keypoint_learning_rate)
    weights = list(autoencoder.parameters())
    fit(autoencoder, weights, loss_at, schedule, work / "keypoints.checkpoint", after_step)
    return autoencoder.encoder.state_dict()


def _fit_flow(
    params: TrainPriorParams,
    prior: BehavioralPrior,
    batches: TransitionBatches,
    work: Path,
    progress: Progress,
) -> None:
    """Maximise the likelihood of the data's actions; the keypoints stay as they are."""
    prior.keypoints.requires_grad_(False)
    prior.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, step_generator(params.seed, 1, INIT_STREAM))
    with torch.no_grad():
        if isinstance(prior.encoder, FovealEncoder):
            prior.encoder.init_from_data(some.images)
        context = prior.context(some.images, some.proprioception)
        prior.flow.init_from_data(some.actions, context)

    def loss_at(step: int) -> torch.Tensor:
        rng = step_generator(params.seed, step, FLOW_STREAM)
        batch = batches.sample(params.batch_size, rng)
        return negative_log_likelihood(
            prior, augment(batch, rng) if params.augment else batch, params.precision
        )

    log = _likelihood_log(params, prior, batches, work / "history.csv")

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"flow, log-likelihood {-loss:.3f} a dimension")
        if (step + 1) % params.log_every == 0 or step + 1 == params.steps:
            log(step + 1)

    trained = [p for p in prior.parameters() if p.requires_grad]
    schedule = _schedule(params, params.steps, params.learning_rate)
    fit(prior, trained, loss_at, schedule, work / "flow.checkpoint", after_step)


def _schedule(params: TrainPriorParams, steps: int, learning_rate: float) -> Schedule:
    return Schedule(
        steps, learning_rate, params.gradient_clip, WEIGHT_DECAY, params.checkpoint_every
    )


def _likelihood_log(
    params: TrainPriorParams, prior: BehavioralPrior, batches: TransitionBatches, path: Path
) -> Callable[[int], None]:
    """Write the likelihood curve row by row; rows of steps done again are overwritten."""
    train = [batches.sample(NUM_LOGGED, step_generator(params.seed, 2, INIT_STREAM))]
    rows: dict[int, tuple[float, float]] = {}
    if path.exists():
        with path.open(newline="") as file:
            rows = {int(r[0]): (float(r[1]), float(r[2])) for r in list(csv.reader(file))[1:]}

    def log(step: int) -> None:
        held_out = batches.held_out(params.batch_size)
        rows[step] = (
            log_prob_per_dim(prior, train, params.precision),
            log_prob_per_dim(prior, held_out, params.precision),
        )
        lines = ["step,train_log_prob_per_dim,validation_log_prob_per_dim"]
        lines += [f"{s},{rows[s][0]:.5f},{rows[s][1]:.5f}" for s in sorted(rows) if s <= step]
        temporary = path.with_suffix(".tmp")  # a torn row could not be resumed from
        temporary.write_text("\n".join(lines) + "\n")
        temporary.replace(path)

    return log
