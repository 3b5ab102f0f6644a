"""What a user may vary about what baselines are pre-trained as."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from parrot_data.section import (
    BatchSize,
    Count,
    NotNegative,
    Positive,
    Section,
    Seed,
    Width,
    Widths,
)
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.networks.choices import Encoder, Precision


class PretrainingParams(Section):
    """What every part of section `pretrain` has.

    Attributes:
        seed: of weights and batches.
        held_out_fraction: share of the episodes kept for validation.
        augment: whether to mirror scenes, shuffle colours and, but for "vae", paint objects.
        precision: "bf16" or "fp32" products in the layers that look at pictures.
        gradient_clip: largest norm of a gradient.
        log_every, checkpoint_every: steps between rows of the training's curve, and checkpoints.
        steps, batch_size, learning_rate: how the model is fitted.
    """

    seed: Seed
    held_out_fraction: float = Field(gt=0, lt=1)
    augment: bool
    precision: Precision
    gradient_clip: Positive
    log_every: Count
    checkpoint_every: Count
    steps: Count
    batch_size: BatchSize
    learning_rate: Positive

    def is_logged(self, step: int) -> bool:
        """Whether the curve has a row after this many steps."""
        return step % self.log_every == 0 or step == self.steps


class ContextParams(PretrainingParams):
    """What the parts have whose models make a context, and whose agents see keypoints beside it.

    Attributes:
        encoder, feature_dim, window_dim, context_dim: see `ContextArchitecture`.
        hidden: see the architecture of the part.
        rollout_seed, rollout_episodes: of the rollouts in scenes of unseen objects, per family.
        probe_scenes: scenes a linear probe is fitted and tested on, per task.
    """

    encoder: Encoder
    feature_dim: Width
    window_dim: int = Field(ge=0, le=2**16)
    context_dim: Width
    hidden: Widths
    rollout_seed: Seed
    rollout_episodes: Count
    probe_scenes: Count = Field(ge=10)

    def shapes(self, environment: EnvironmentParams) -> dict[str, Any]:
        """What these params say of an architecture that makes a context in this environment."""
        return {
            "image_size": environment.image_size,
            "proprioception": environment.proprioception,
            "encoder": self.encoder,
            "feature_dim": self.feature_dim,
            "window_dim": self.window_dim,
            "context_dim": self.context_dim,
            "hidden": self.hidden,
        }


class CloningParams(ContextParams):
    """`pretrain.bc` of params.yaml: nothing beyond what others have too."""


class BetaVAEParams(PretrainingParams):
    """`pretrain.vae` of params.yaml.

    Attributes:
        latent_dim, width, hidden: see `VAEArchitecture`.
        beta: weight of the KL against the log-likelihood, both in nats.
        foreground_weight: precision of the pixels of objects, against 1.
        probe_seed, probe_scenes: of the linear probe, scenes a task.
    """

    latent_dim: Width
    width: Width
    hidden: Width
    beta: NotNegative
    foreground_weight: float = Field(ge=1)
    probe_seed: Seed
    probe_scenes: Count = Field(ge=5)


class TrajectoryParams(ContextParams):
    """`pretrain.trajectories` of params.yaml.

    Attributes:
        chunk_steps: actions a trajectory, T in `trajectory_vae`; a divisor of the episode's steps,
            all of them for one decision an episode.
        latent_dim: see `TrajectoryArchitecture`.
        kl_weight: of the divergence in the bound, w in `trajectory_vae`.
        demonstrations: to reproduce in such scenes, per family.
    """

    chunk_steps: Count
    latent_dim: Width
    kl_weight: Positive
    demonstrations: Count


class OptionParams(ContextParams):
    """`pretrain.options` of params.yaml; its `batch_size` counts episodes.

    Attributes:
        latent_dim, posterior_width: see `OptionArchitecture`.
        pictures_per_episode: steps of each episode of a batch, drawn anew, whose pictures are
            encoded; at these the low-level policy learns, while the posterior reads all steps.
        option_steps: steps that an option is to last in the mean, K in `options`.
        kl_weight: of the divergence of z in the bound, w in `options`; it grows from zero over the
            first half of the training.
        demonstrations: scripted ones to encode and reproduce, per family.
    """

    latent_dim: Width
    posterior_width: Width
    pictures_per_episode: Count
    option_steps: float = Field(gt=1)
    kl_weight: Positive
    demonstrations: Count


class PretrainParams(Section):
    """Section `pretrain` of params.yaml: a part for each of METHODS, under its name.

    Attributes:
        bc: of behavior cloning, see `CloningParams`.
        vae: of the beta-VAE, see `BetaVAEParams`.
        trajectories: of a VAE over whole trajectories, see `TrajectoryParams`.
        options: of options discovered in demonstrations, see `OptionParams`.
    """

    bc: CloningParams
    vae: BetaVAEParams
    trajectories: TrajectoryParams
    options: OptionParams
