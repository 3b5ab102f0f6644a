"""The rational-quadratic spline coupling of neural spline flows (Durkan et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from zuko.transforms import MonotonicRQSTransform

from parrot_models.flows.coupling import AffineCoupling


class SplineCoupling(AffineCoupling):
    """An affine coupling that first bends each moved dimension by a monotonic spline.

    Toward the data, `moved` goes through zuko's rational-quadratic spline (Durkan et al. 2019,
    equation 4), whose knots the conditioner chooses, and then through the affine map of
    `AffineCoupling`. The paper leaves open what stands between its splines (it puts learned linear
    layers there); the affine map is ours. It brings what is narrow and far from zero, as an action
    is once the picture is known, into the box that the spline bends, so that an affine flow is what
    a spline flow with straight splines is. Zero weights in the last layer make the spline straight.

    Args:
        kept_dim, moved_dim, hidden, max_log_scale: see `AffineCoupling`.
        num_bins: pieces of a spline, at least 2.
        bound: a spline bends [-bound, bound] onto itself and leaves what is outside as it is,
            in standard deviations of the base.
    """

    def __init__(
        self,
        kept_dim: int,
        moved_dim: int,
        hidden: Sequence[int],
        max_log_scale: float,
        num_bins: int,
        bound: float,
    ) -> None:
        super().__init__(
            kept_dim, moved_dim, hidden, max_log_scale, num_more=(3 * num_bins - 1) * moved_dim
        )
        self.num_bins = num_bins
        self.bound = bound

    def _parts(
        self, kept: Tensor, context_term: Tensor
    ) -> tuple[MonotonicRQSTransform, Tensor, Tensor]:
        """The spline of each row and moved dimension, and the affine map's shift and log_scale."""
        outputs = self.outputs(kept, context_term)
        shift, log_scale = self.affine_of(outputs[:, : 2 * self.moved_dim])
        knots = outputs[:, 2 * self.moved_dim :].reshape(len(outputs), self.moved_dim, -1)
        num = self.num_bins
        widths, heights, slopes = torch.split(knots, [num, num, num - 1], -1)
        return MonotonicRQSTransform(widths, heights, slopes, self.bound), shift, log_scale

    def conditioner(self, kept: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log_scale of the affine map, each (B, moved_dim)."""
        _, shift, log_scale = self._parts(kept, context_term)
        return shift, log_scale

    def forward(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Map `moved` toward the data; return it with the log of each dimension's slope."""
        spline, shift, log_scale = self._parts(kept, context_term)
        bent, log_slope = spline.call_and_ladj(moved)
        return torch.addcmul(shift, bent, log_scale.exp()), log_scale + log_slope

    def inverse(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`: map `moved` toward the base; minus the second's sum is the log_det."""
        spline, shift, log_scale = self._parts(kept, context_term)
        bent = (moved - shift) * torch.exp(-log_scale)
        straight = spline.inv(bent)
        return straight, log_scale + spline.log_abs_det_jacobian(straight, bent)
