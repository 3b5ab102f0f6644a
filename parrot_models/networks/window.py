"""What a picture shows about the spot under the gripper, at full resolution.

Attention maps say where things are to a pixel or two; whether fingers will close around an object
is decided by less than that, and by its shape. A window that moves with the gripper shows every
grasp in the same place, so that few convolutions and a fully connected layer suffice.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

SIDE = 24  # of the window, pixels of the picture
NUM_PLANES = 4


class GripperWindow(nn.Module):
    """Pictures' planes (B, 4, S, S) and spots (B, 1, 2) -> (B, output_dim).

    Args:
        image_size: side S of the pictures.
        width: channels of the first convolution.
        output_dim: width of the result.
    """

    def __init__(self, image_size: int, width: int, output_dim: int) -> None:
        super().__init__()
        self.see = nn.Sequential(
            nn.Conv2d(NUM_PLANES, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(2 * width * (SIDE // 4) ** 2, output_dim),
        )
        steps = (2 * torch.arange(SIDE) + 1 - SIDE) / image_size
        y, x = torch.meshgrid(steps, steps, indexing="ij")
        self.offsets: Tensor  # of the window's pixels from its middle, in halves of a picture
        self.register_buffer("offsets", torch.stack([x, y], -1)[None], persistent=False)

    def forward(self, planes: Tensor, spot: Tensor) -> Tensor:
        """What the window about each spot shows, float32.

        Args:
            planes: float32 (B, 4, S, S), difference from the mean picture.
            spot: float32 (B, 1, 2), x and y in [-1, 1]; what lies outside of the picture is 0.
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
