"""A conditional neural spline flow: couplings that bend as well as shift and scale."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from zuko.transforms import MonotonicRQSTransform

from parrot_models.flows.coupling import AffineCoupling, CouplingFlow

# Of a spline's pieces and at its knots, which are no steeper than 1 / MIN_SLOPE either. Zuko's own,
# 1e-3, lets the slope between two knots fall to about its cube: float32 then cannot tell z apart.
MIN_SLOPE = 0.1


class SplineCoupling(AffineCoupling):
    """An affine coupling that first bends each moved dimension by a monotonic spline.

    Toward the data, `moved` goes through zuko's rational-quadratic spline (Durkan et al. 2019,
    equation 4), whose knots the conditioner chooses, and then through the affine map of
    `AffineCoupling`. The paper leaves open what stands between its splines (it puts learned linear
    layers there); the affine map is ours. It brings what is narrow and far from zero, as an action
    is once the image is known, into the box that the spline bends, so that an affine flow is what
    a spline flow with straight splines is. Zero weights in the last layer make the spline straight.

    Args:
        kept_dim, moved_dim, hidden, max_log_scale: see `AffineCoupling`.
        num_bins: pieces of a spline, at least 2.
        bound: a spline bends [-bound, bound] onto itself and leaves what is outside as it is,
            in standard deviations of the base.
        min_slope: see MIN_SLOPE.

    The conditioner computes in the precision of its weights; knots and both maps are float64 in
    any case, because the root in a spline's inverse cancels. What comes out is of the precision of
    what went in.
    """

    def __init__(
        self,
        kept_dim: int,
        moved_dim: int,
        hidden: Sequence[int],
        max_log_scale: float,
        num_bins: int,
        bound: float,
        min_slope: float = MIN_SLOPE,
    ) -> None:
        super().__init__(
            kept_dim, moved_dim, hidden, max_log_scale, num_more=(3 * num_bins - 1) * moved_dim
        )
        self.num_bins = num_bins
        self.bound = bound
        self.min_slope = min_slope

    def _parts(
        self, kept: Tensor, context_term: Tensor
    ) -> tuple[MonotonicRQSTransform, Tensor, Tensor]:
        """The spline of each row and moved dimension, and the affine map's shift and log_scale.

        All in float64.
        """
        outputs = self.outputs(kept, context_term).double()
        shift, log_scale = self.affine_of(outputs[:, : 2 * self.moved_dim])
        knots = outputs[:, 2 * self.moved_dim :].reshape(len(outputs), self.moved_dim, -1)
        num = self.num_bins
        widths, heights, slopes = torch.split(knots, [num, num, num - 1], -1)
        spline = MonotonicRQSTransform(widths, heights, slopes, self.bound, self.min_slope)
        return spline, shift, log_scale

    def conditioner(self, kept: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log_scale of the affine map, each (B, moved_dim)."""
        return self.affine_of(self.outputs(kept, context_term)[:, : 2 * self.moved_dim])

    def forward(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Map `moved` toward the data; return it with the log of each dimension's slope."""
        spline, shift, log_scale = self._parts(kept, context_term)
        bent, log_slope = spline.call_and_ladj(moved.double())
        found = torch.addcmul(shift, bent, log_scale.exp())
        return found.to(moved.dtype), (log_scale + log_slope).to(moved.dtype)

    def inverse(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`: map `moved` toward the base; minus the second's sum is the log_det."""
        spline, shift, log_scale = self._parts(kept, context_term)
        bent = (moved.double() - shift) * torch.exp(-log_scale)
        straight = spline.inv(bent)
        log_slope = spline.log_abs_det_jacobian(straight, bent)
        return straight.to(moved.dtype), (log_scale + log_slope).to(moved.dtype)


class SplineFlow(CouplingFlow):
    """A flow of rational-quadratic spline couplings (Durkan et al. 2019), "RQ-NSF (C)".

    Args:
        dim, context_dim, num_layers: see `CouplingFlow`.
        hidden: widths of each conditioner's hidden layers, at least one.
        max_log_scale, num_bins, bound, min_slope: see `SplineCoupling`.

    Raises:
        ValueError: dim is less than 1, num_layers or num_bins less than 2, or hidden is empty.
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
