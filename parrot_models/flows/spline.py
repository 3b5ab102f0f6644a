"""A conditional neural spline flow: couplings that bend as well as shift and scale."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from parrot_models.flows.coupling_flow import CouplingFlow
from parrot_models.flows.spline_coupling import MIN_SLOPE, SplineCoupling


class SplineFlow(CouplingFlow):
    """A flow of rational-quadratic spline couplings (Durkan et al. 2019), "RQ-NSF (C)".

    Args:
        dim, context_dim, num_layers: see `CouplingFlow`.
        hidden: widths of each conditioner's hidden layers, at least one.
        max_log_scale, num_bins, bound, min_slope: see `SplineCoupling`.

    Raises:
        ValueError: dim, num_layers or num_bins is less than 2, or hidden is empty.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_layers: int,
        hidden: Sequence[int],
        max_log_scale: float,
        num_bins: int,
        bound: float,
        min_slope: float = MIN_SLOPE,
    ) -> None:
        if not hidden or num_bins < 2:
            raise ValueError(
                f"a flow needs hidden layers and num_bins >= 2, got {list(hidden)} and {num_bins}"
            )
        make = partial(
            SplineCoupling,
            hidden=hidden,
            max_log_scale=max_log_scale,
            num_bins=num_bins,
            bound=bound,
            min_slope=min_slope,
        )
        super().__init__(dim, context_dim, num_layers, hidden[0], make)
