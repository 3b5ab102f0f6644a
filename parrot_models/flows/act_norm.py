"""Activation normalisation, initialised from data (Kingma and Dhariwal 2018, Glow)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

# Below this a dimension counts as constant; dividing by less would let its density run away.
MIN_STD = 1e-3


class ActNorm(nn.Module):
    """A learned affine map of each dimension: x -> x * exp(log_scale) + shift."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(dim))
        self.log_scale = nn.Parameter(torch.zeros(dim))

    def forward(self, x: Tensor) -> Tensor:
        """Scale and shift (B, dim), toward the data; `log_scale.sum()` is the log_det."""
        return torch.addcmul(self.shift, x, self.log_scale.exp())

    def inverse(self, y: Tensor) -> Tensor:
        """Undo `forward`: normalise (B, dim); `-log_scale.sum()` is the log_det."""
        return (y - self.shift) * torch.exp(-self.log_scale)

    @torch.no_grad()
    def init_from_data(self, y: Tensor) -> None:
        """Choose shift and scale such that `inverse(y)` has zero mean and unit deviation."""
        self.shift.copy_(y.mean(0))
        self.log_scale.copy_(y.std(0, correction=0).clamp_min(MIN_STD).log())
