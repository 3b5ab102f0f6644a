"""What a prior is built from."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.section import Section, SomeCount, Widths
from parrot_models.flows.coupling import RealNVP
from parrot_models.flows.matching import FlowMatching
from parrot_models.flows.spline import MIN_SLOPE, SplineFlow
from parrot_models.networks.context_model import ContextArchitecture
from parrot_models.networks.params import KeypointArchitecture
from parrot_models.prior.params import AffineParams, SplineParams, TrainPriorParams
from parrot_models.training.params import KeypointParams, keypoint_architecture

Flow = RealNVP | SplineFlow | FlowMatching


class AffineArchitecture(AffineParams):
    """Of a `RealNVP`.

    Attributes:
        kind: "affine".
    """

    kind: Literal["affine"]

    def make(self, dim: int, context_dim: int) -> RealNVP:
        """The flow of actions (B, dim), with freshly drawn weights."""
        return RealNVP(dim, context_dim, self.num_layers, self.hidden, self.max_log_scale)


class SplineArchitecture(SplineParams):
    """Of a `SplineFlow`.

    Attributes:
        kind: "spline".
        min_slope: see `MIN_SLOPE`.
    """

    kind: Literal["spline"]
    min_slope: float = Field(gt=0, lt=1)

    def make(self, dim: int, context_dim: int) -> SplineFlow:
        """The flow of actions (B, dim), with freshly drawn weights."""
        return SplineFlow(
            dim, context_dim, self.num_layers, self.hidden, self.max_log_scale, self.num_bins,
            self.bound, self.min_slope,
        )  # fmt: skip


class MatchingArchitecture(Section):
    """Of a `FlowMatching`.

    Attributes:
        kind: "matching".
        hidden, num_steps: its arguments.
    """

    kind: Literal["matching"]
    hidden: Widths
    num_steps: SomeCount

    def make(self, dim: int, context_dim: int) -> FlowMatching:
        """The flow of actions (B, dim), with freshly drawn weights."""
        return FlowMatching(dim, context_dim, self.hidden, self.num_steps)


FlowArchitecture = AffineArchitecture | SplineArchitecture | MatchingArchitecture


class PriorArchitecture(ContextArchitecture):
    """All that determines the shapes of a prior's weights.

    Attributes:
        keypoints: beside the flow, for the agent; None for none.
        flow: the map between latents and actions.
    """

    keypoints: KeypointArchitecture | None
    flow: Annotated[FlowArchitecture, Field(discriminator="kind")]


def prior_architecture(
    params: TrainPriorParams, keypoints: KeypointParams, spec: EpisodeSpec
) -> PriorArchitecture:
    """The prior that params ask for, of such data."""
    return PriorArchitecture(
        spec=spec,
        encoder=params.encoder,
        context_dim=params.context_dim,
        keypoints=keypoint_architecture(keypoints),
        flow=_flow(params),
    )


def _flow(params: TrainPriorParams) -> FlowArchitecture:
    affine, spline, matching = params.flows.affine, params.flows.spline, params.flows.matching
    if params.flow == "affine":
        return AffineArchitecture(kind="affine", **affine.model_dump())
    if params.flow == "spline":
        return SplineArchitecture(kind="spline", min_slope=MIN_SLOPE, **spline.model_dump())
    return MatchingArchitecture(
        kind="matching", hidden=matching.hidden, num_steps=matching.num_steps
    )
