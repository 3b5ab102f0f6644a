"""What a user may vary about the training of a prior."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class SplineParams(BaseModel):
    """Part `spline` of section `train_prior`, read where `flow` is spline.

    Attributes:
        num_bins, bound: see `SplineCoupling`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    num_bins: int = Field(ge=2)
    bound: float = Field(gt=0)


class MatchingParams(BaseModel):
    """Part `matching` of section `train_prior`, read where `flow` is matching.

    Attributes:
        hidden: widths of the hidden layers of the velocity and of the one step that acts.
        num_steps: see `FlowMatching`.
        draws: pairs of latent and time, or latents, that one encoded picture is used for.
        distillation_steps, distillation_learning_rate: how the one step is trained, in batches of
            `batch_size`, once the velocity is.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    hidden: list[int] = Field(min_length=1)
    num_steps: int = Field(ge=1)
    draws: int = Field(ge=1)
    distillation_steps: int = Field(ge=1)
    distillation_learning_rate: float = Field(gt=0)


class TrainPriorParams(BaseModel):
    """Section `train_prior` of params.yaml.

    Attributes:
        seed: of weights and batches.
        held_out_fraction: share of the episodes kept for validation.
        augment: whether to mirror scenes and shuffle colours.
        precision: "bf16" or "fp32" products while training the convolutions.
        gradient_clip: largest norm of a gradient.
        log_every, checkpoint_every: steps between rows of the likelihood curve, and checkpoints.
        encoder, feature_dim, window_dim, context_dim, num_layers, hidden, max_log_scale: see
            `PriorArchitecture`.
        flow: what carries latents to actions: affine or spline couplings, or flow matching.
        spline, matching: what the other two flows need beyond that.
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
    encoder: Literal["foveal", "fast", "paper"]
    feature_dim: int = Field(ge=1)
    window_dim: int = Field(ge=0)
    context_dim: int = Field(ge=1)
    num_layers: int = Field(ge=2)
    hidden: list[int] = Field(min_length=1)
    max_log_scale: float = Field(gt=0)
    flow: Literal["affine", "spline", "matching"]
    spline: SplineParams
    matching: MatchingParams
    steps: int = Field(ge=1)
    batch_size: int = Field(ge=2)
    learning_rate: float = Field(gt=0)
    rollout_seed: int = Field(ge=0)
    rollout_episodes: int = Field(ge=1)
    probe_scenes: int = Field(ge=10)
