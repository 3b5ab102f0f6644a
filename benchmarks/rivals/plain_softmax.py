"""A spatial softmax as one would write it first: a line a formula, differentiated by autograd."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parrot_models.networks.spatial_softmax import SPREAD_FLOOR, SpatialSoftmax


class PlainSpatialSoftmax(nn.Module):
    """The same function of the same weights, which are copied."""

    def __init__(self, ours: SpatialSoftmax) -> None:
        super().__init__()
        self.strength_scale = ours.strength_scale
        self.sharpness = nn.Parameter(ours.sharpness.detach().clone())
        self.register_buffer("basis", ours.basis.clone())
        self.basis: Tensor

    def forward(self, maps: Tensor, pull: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Places (B, K, 2) and strengths (B, K) of maps (B, K, height, width)."""
        values = maps.flatten(2)
        # Not torch.std, which takes ten times as long on a CPU: the rival shall not owe us that.
        mean = values.mean(-1, keepdim=True)
        spread = (values - mean).square().mean(-1, keepdim=True).sqrt() + SPREAD_FLOOR
        logits = self.sharpness * values / spread
        if pull is not None:
            logits = logits + pull @ self.basis
        attention = torch.softmax(logits, -1)
        found = (attention * values).sum(-1)
        return attention @ self.basis[:2].T, torch.tanh(found / self.strength_scale)
