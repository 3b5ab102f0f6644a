"""What an image shows about the spot under the tool, at full resolution.

Attention maps say where things are to a pixel or two; whether fingers will close around an object
is decided by less than that, and by its shape. A window that moves with the tool shows every
grasp in the same place, so that few convolutions and a fully connected layer suffice.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from parrot_data.episodes.spec import ImageSpec

SIDE = 24  # of the window, pixels of the image
NUM_PLANES = 4


class ToolWindow(nn.Module):
    """Images' planes (B, 4, H, W) and spots (B, 1, 2) -> (B, output_dim).

    Args:
        image: height and width.
        channels: of the first convolution.
        output_dim: width of the result.
    """

    def __init__(self, image: ImageSpec, channels: int, output_dim: int) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(NUM_PLANES, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 2 * channels, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * channels, 2 * channels, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(2 * channels * (SIDE // 4) ** 2, output_dim),
        )
        steps = 2 * torch.arange(SIDE) + 1 - SIDE
        y, x = torch.meshgrid(steps / image.height, steps / image.width, indexing="ij")
        self.offsets: Tensor  # of the window's pixels from its middle, in halves of an image
        self.register_buffer("offsets", torch.stack([x, y], -1)[None], persistent=False)

    def forward(self, planes: Tensor, spot: Tensor) -> Tensor:
        """What the window about each spot shows, float32.

        Args:
            planes: float32 (B, 4, H, W), difference from the mean image.
            spot: float32 (B, 1, 2), x and y in [-1, 1]; what lies outside of the image is 0.
        """
        window = self.window(planes, spot).to(
            cast(nn.Conv2d, self.see[0]).weight.dtype, memory_format=torch.channels_last
        )
        seen: Tensor = self.see(window)
        return seen.float()

    def window(self, planes: Tensor, spot: Tensor) -> Tensor:
        """The window (B, 4, SIDE, SIDE) about each spot, between pixels interpolated."""
        places = spot[:, None] + self.offsets
        return functional.grid_sample(planes, places, align_corners=False)
