"""What an agent makes of an observation before it acts or judges: one normalized vector."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

STD_FLOOR = 1e-3  # an input that never moved in the warm-up is not blown up
CLIP_STANDARDIZED = 5.0


class Trunk(nn.Module):
    """An observation as one normalized vector: (B, output_dim).

    Vector inputs (features, proprioception) are standardized by statistics of the warm-up, so that
    centimetres of a gripper weigh as much as a quaternion; images pass through an encoder that the
    critic's loss trains, and a LayerNorm.

    Args:
        vector_dims: widths of the observation's vectors by key; keys left out are not seen.
        encoder: maps uint8 images (B, 48, 48, 3) to (B, encoder_dim); None without images.
        encoder_dim: width of the encoder's output, 0 without one.
        clips: whether standardized inputs are clipped.
    """

    def __init__(
        self,
        vector_dims: Mapping[str, int],
        encoder: nn.Module | None,
        encoder_dim: int,
        *,
        clips: bool = True,
    ) -> None:
        super().__init__()
        self._clip = CLIP_STANDARDIZED if clips else math.inf
        self.keys = sorted(vector_dims)
        vector_dim = sum(vector_dims.values())
        self.output_dim = vector_dim + encoder_dim
        self.encoder = encoder
        self.norm = nn.LayerNorm(encoder_dim) if encoder is not None else None
        self.register_buffer("mean", torch.zeros(vector_dim))
        self.register_buffer("std", torch.ones(vector_dim))
        self.mean: Tensor
        self.std: Tensor

    def standardize_by(self, observations: Mapping[str, Tensor]) -> None:
        """Take mean and standard deviation of every vector input from these observations."""
        if self.keys:
            values = self._vectors(observations)
            self.mean.copy_(values.mean(0))
            self.std.copy_(values.std(0).clamp_min(STD_FLOOR))

    def forward(self, observations: Mapping[str, Tensor]) -> Tensor:
        """Normalized vectors (B, output_dim)."""
        parts = []
        if self.keys:
            standardized = (self._vectors(observations) - self.mean) / self.std
            parts.append(standardized.clamp(-self._clip, self._clip))
        if self.encoder is not None and self.norm is not None:
            parts.append(self.norm(self.encoder(observations["image"]).float()))
        return torch.cat(parts, dim=-1)

    def _vectors(self, observations: Mapping[str, Tensor]) -> Tensor:
        return torch.cat([observations[key] for key in self.keys], dim=-1)
