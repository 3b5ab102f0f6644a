"""What a user may vary about the training of a prior."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


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
        encoder, feature_dim, window_dim, context_dim, num_layers, hidden, max_log_scale: see
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
    window_dim: int = Field(ge=0)
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
