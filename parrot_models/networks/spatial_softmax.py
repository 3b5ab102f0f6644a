"""Maps read as places: where each one looks, and how much it finds there."""

from __future__ import annotations

import torch
from torch import Tensor, nn

INITIAL_SHARPNESS = 4.0
SPREAD_FLOOR = 1e-2  # a flat map attends everywhere instead of to its rounding errors


class SpatialSoftmax(nn.Module):
    """Maps (B, K, side, side) -> places (B, K, 2) and strengths (B, K) (Levine et al. 2016).

    A place is the mean of x and y in [-1, 1] under the softmax of a map; a strength, in [-1, 1],
    says how much of what the map looks for is there.

    Args:
        side: of the maps, pixels.
        num_maps: K.
        strength_scale: map value at which a strength begins to saturate.
    """

    def __init__(self, side: int, num_maps: int, strength_scale: float) -> None:
        super().__init__()
        self.strength_scale = strength_scale
        self.sharpness = nn.Parameter(torch.full((num_maps, 1), INITIAL_SHARPNESS))
        centers = pixel_centers(side)
        y, x = torch.meshgrid(centers, centers, indexing="ij")
        self.places: Tensor  # (side * side, 2), row by row
        self.register_buffer("places", torch.stack([x, y], -1).flatten(0, 1), persistent=False)

    def forward(self, maps: Tensor, bias: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Places and strengths of maps; `bias` (B, K, side * side) is added to the logits."""
        maps = maps.float().contiguous().flatten(2)
        logits = maps * (self.sharpness / _spread(maps))
        attention = (logits if bias is None else logits + bias).softmax(-1)
        strengths = torch.tanh(torch.linalg.vecdot(attention, maps) / self.strength_scale)
        return attention @ self.places, strengths


def pixel_centers(side: int) -> Tensor:
    """Centres (side,) of a row of pixels that spans [-1, 1]."""
    return (2 * torch.arange(side) + 1) / side - 1.0


def _spread(maps: Tensor) -> Tensor:
    """Standard deviation (B, K, 1) of maps (B, K, places).

    Without it the softmax starts flat, every place in the middle, and hardly learns. (By moments,
    because torch's std is ten times slower.)
    """
    variance: Tensor = torch.linalg.vecdot(maps, maps) / maps.shape[-1] - maps.mean(-1).square()
    return variance.clamp_min(0.0).sqrt()[..., None] + SPREAD_FLOOR
