"""What a prior is built from."""

from __future__ import annotations

from dataclasses import dataclass, field

from parrot_data.errors import UserError
from parrot_data.worlds.tabletop.env import ACTION_DIM
from parrot_models.flows.matching import FlowMatching
from parrot_models.flows.real_nvp import RealNVP
from parrot_models.flows.spline import SplineFlow
from parrot_models.networks.context_model import ContextArchitecture

Flow = RealNVP | SplineFlow | FlowMatching


@dataclass(frozen=True)
class PriorArchitecture(ContextArchitecture):
    """All that determines the shapes of a prior's weights.

    Attributes:
        num_keypoints: points a picture is reduced to for the agent.
        keypoint_width: channels of the keypoint encoder.
        num_layers: coupling layers of the flow.
        hidden: widths of a conditioner's hidden layers.
        max_log_scale: bound on a coupling's log_scale.
        flow: "affine" couplings, "spline" couplings or flow "matching". What is not said of a flow
            below is for the others; a config without any of it is that of an affine one.
        num_bins, bound, min_slope: of spline couplings, see `SplineCoupling`; a config without the
            last is of a time when it was zuko's own.
        velocity_hidden, num_steps: of flow matching, see `FlowMatching`.
    """

    num_keypoints: int
    keypoint_width: int
    num_layers: int
    hidden: list[int]
    max_log_scale: float
    flow: str = "affine"
    num_bins: int = 0
    bound: float = 0.0
    min_slope: float = 1e-3
    velocity_hidden: list[int] = field(default_factory=list)
    num_steps: int = 0


def make_flow(a: PriorArchitecture) -> Flow:
    """The map between latents and actions.

    Raises:
        UserError: no flow is called so.
    """
    if a.flow == "affine":
        return RealNVP(ACTION_DIM, a.context_dim, a.num_layers, a.hidden, a.max_log_scale)
    if a.flow == "spline":
        return SplineFlow(
            ACTION_DIM,
            a.context_dim,
            a.num_layers,
            a.hidden,
            a.max_log_scale,
            a.num_bins,
            a.bound,
            a.min_slope,
        )
    if a.flow == "matching":
        return FlowMatching(ACTION_DIM, a.context_dim, a.velocity_hidden, a.num_steps)
    raise UserError(f"no flow is called {a.flow!r}: choose affine, spline or matching")
