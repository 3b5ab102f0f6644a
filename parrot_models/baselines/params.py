"""What a user may vary about what baselines are pre-trained as."""

from __future__ import annotations

from pydantic import Field, model_validator

from parrot_data.section import (
    Count,
    NotNegative,
    Positive,
    Section,
    SomeCount,
    Width,
    Widths,
)
from parrot_models.networks.params import EncoderParams
from parrot_models.training.params import TrainingParams, check_source


class ContextParams(TrainingParams):
    """What the parts have whose models make a context, and whose agents see keypoints beside it.

    Attributes:
        encoder, context_dim: see `ContextArchitecture`.
        hidden: see the architecture of the part.
    """

    encoder: EncoderParams
    context_dim: Width
    hidden: Widths

    @model_validator(mode="after")
    def _check(self) -> ContextParams:
        check_source(self.source, self.encoder)
        return self


class CloningParams(ContextParams):
    """`pretrain.bc` of params.yaml: nothing beyond what others have too."""


class BetaVAEParams(TrainingParams):
    """`pretrain.vae` of params.yaml; its `augment` shuffles colours but paints nothing.

    Attributes:
        latent_dim, width, hidden: see `VAEArchitecture`.
        beta: weight of the KL against the log-likelihood, both in nats.
        foreground_weight: precision of the pixels of objects, against 1.
    """

    latent_dim: Width
    width: Width
    hidden: Width
    beta: NotNegative
    foreground_weight: float = Field(ge=1)


class TrajectoryParams(ContextParams):
    """`pretrain.trajectories` of params.yaml.

    Attributes:
        chunk_steps: actions a trajectory, T in `trajectories_model`; as many as the longest episode
            has for one decision an episode.
        latent_dim: see `TrajectoryArchitecture`.
        kl_weight: of the divergence in the bound, w in `trajectories_model`.
    """

    chunk_steps: SomeCount
    latent_dim: Width
    kl_weight: Positive


class OptionParams(ContextParams):
    """`pretrain.options` of params.yaml; its `batch_size` counts episodes.

    Attributes:
        latent_dim, posterior_width: see `OptionArchitecture`.
        images_per_episode: steps of each episode of a batch, drawn anew, whose images are encoded;
            at these the low-level policy learns, while the posterior reads all steps.
        option_steps: steps that an option is to last in the mean, K in `options_model`.
        kl_weight: of the divergence of z in the bound, w in `options_model`; it grows from zero
            over the first half of the training.
    """

    latent_dim: Width
    posterior_width: Width
    images_per_episode: Count
    option_steps: float = Field(gt=1)
    kl_weight: Positive


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
