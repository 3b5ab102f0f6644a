"""What a user may vary about the training of a prior."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from parrot_data.section import Count, Positive, Section, SomeCount, Width, Widths
from parrot_models.networks.params import EncoderParams
from parrot_models.training.params import TrainingParams, check_source

MostLayers = Field(ge=2, le=64)


class AffineParams(Section):
    """`train_prior.flows.affine` of params.yaml.

    Attributes:
        num_layers, hidden, max_log_scale: see `RealNVP`.
    """

    num_layers: int = MostLayers
    hidden: Widths
    max_log_scale: Positive


class SplineParams(Section):
    """`train_prior.flows.spline` of params.yaml.

    Attributes:
        num_layers, hidden, max_log_scale, num_bins, bound: see `SplineFlow`.
    """

    num_layers: int = MostLayers
    hidden: Widths
    max_log_scale: Positive
    num_bins: int = Field(ge=2, le=1024)
    bound: Positive


class MatchingParams(Section):
    """`train_prior.flows.matching` of params.yaml.

    Attributes:
        hidden: widths of the hidden layers of the velocity and of the one step that acts.
        num_steps: see `FlowMatching`.
        draws: pairs of latent and time, or latents, that one encoded observation is used for.
        distillation_steps, distillation_learning_rate: how the one step is trained, in batches of
            `batch_size`, once the velocity is.
    """

    hidden: Widths
    num_steps: SomeCount
    draws: SomeCount
    distillation_steps: Count
    distillation_learning_rate: Positive


class FlowsParams(Section):
    """`train_prior.flows` of params.yaml: what each flow is like, the one that is chosen or not."""

    affine: AffineParams
    spline: SplineParams
    matching: MatchingParams


class TrainPriorParams(TrainingParams):
    """Section `train_prior` of params.yaml; of the flow are steps, batches and learning rate.

    Attributes:
        encoder: what looks at the images.
        context_dim: width of the context that the flow is conditioned on.
        flow: what carries latents to actions, one of `flows`.
        flows: what each is like.
    """

    encoder: EncoderParams
    context_dim: Width
    flow: Literal["affine", "spline", "matching"]
    flows: FlowsParams

    @model_validator(mode="after")
    def _check(self) -> TrainPriorParams:
        check_source(self.source, self.encoder)
        return self
