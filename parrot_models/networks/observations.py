"""Observations as tensors, and the scaling of their vectors."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

# By name: uint8 images (B, H, W, 3) and float32 vectors (B, D).
Observations = Mapping[str, Tensor]

STD_FLOOR = 1e-6  # a number that never changes is left as it is, less its mean


class VectorScale(nn.Module):
    """All vectors of observations side by side, standardised: (B, D) of D numbers in all.

    Args:
        dims: widths by name.
    """

    def __init__(self, dims: Mapping[str, int]) -> None:
        super().__init__()
        self.names = sorted(dims)
        self.output_dim = sum(dims.values())
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(self.output_dim))
        self.register_buffer("std", torch.ones(self.output_dim))

    def init_from_data(self, observations: Observations) -> None:
        """Take mean and standard deviation of these observations."""
        if self.names:
            values = self._joined(observations)
            std = values.std(0, correction=0)
            self.mean.copy_(values.mean(0))
            self.std.copy_(torch.where(std > STD_FLOOR, std, torch.ones_like(std)))

    def forward(self, observations: Observations) -> list[Tensor]:
        """The standardised vectors, float32 [(B, D)]; nothing where there are none."""
        return [(self._joined(observations) - self.mean) / self.std] if self.names else []

    def _joined(self, observations: Observations) -> Tensor:
        return torch.cat([observations[name] for name in self.names], -1)


def num_rows(observations: Observations) -> int:
    """B, the number of rows of observations."""
    return len(next(iter(observations.values())))
