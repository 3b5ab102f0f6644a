"""What a user may vary about the training of a prior."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from parrot_data.section import BatchSize, Count, Positive, Section, Seed, SomeCount, Width, Widths
from parrot_models.networks.choices import Encoder, Precision


class SplineParams(Section):
    """Part `spline` of section `train_prior`, read where `flow` is spline.

    Attributes:
        num_bins, bound: see `SplineCoupling`.
    """

    num_bins: int = Field(ge=2, le=1024)
    bound: Positive


class MatchingParams(Section):
    """Part `matching` of section `train_prior`, read where `flow` is matching.

    Attributes:
        hidden: widths of the hidden layers of the velocity and of the one step that acts.
        num_steps: see `FlowMatching`.
        draws: pairs of latent and time, or latents, that one encoded picture is used for.
        distillation_steps, distillation_learning_rate: how the one step is trained, in batches of
            `batch_size`, once the velocity is.
    """

    hidden: Widths
    num_steps: SomeCount
    draws: SomeCount
    distillation_steps: Count
    distillation_learning_rate: Positive


class TrainPriorParams(Section):
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

    seed: Seed
    held_out_fraction: float = Field(gt=0, lt=1)
    augment: bool
    precision: Precision
    gradient_clip: Positive
    log_every: Count
    checkpoint_every: Count
    encoder: Encoder
    feature_dim: Width
    window_dim: int = Field(ge=0, le=2**16)
    context_dim: Width
    num_layers: int = Field(ge=2, le=64)
    hidden: Widths
    max_log_scale: Positive
    flow: Literal["affine", "spline", "matching"]
    spline: SplineParams
    matching: MatchingParams
    steps: Count
    batch_size: BatchSize
    learning_rate: Positive
    rollout_seed: Seed
    rollout_episodes: Count
    probe_scenes: Count = Field(ge=10)
