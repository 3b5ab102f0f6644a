"""A spatial softmax that looks where the gripper is: what lies near it, and in which direction.

A prior must find whatever object is next to the gripper, of whatever colour, to within a
centimetre. Convolutions with a fully connected head need far more pictures for that than a dataset
of a few thousand episodes has; here every attention map is drawn towards the spot under the
gripper, more or less strongly, and reports its place relative to that spot (spatial softmax: Levine
et al. 2016).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parrot_data.envs.scene import PROJECTION, VIEW
from parrot_models.networks.image_encoder import scale_images

STRIDE = 2
TABLE_HEIGHT_M = 0.02  # of the spot under the gripper: where the middle of an object would be
LOG_PULLS = (-1.0, 3.5)  # range of the initial pull towards that spot
INPUT_GAIN = 4.0
OFFSET_GAIN = 3.0
INITIAL_SHARPNESS, STRENGTH_SCALE = 4.0, 4.0


class FovealEncoder(nn.Module):
    """uint8 (B, S, S, 3) and proprioception (B, 8) -> (B, 3 * num_maps)."""

    def __init__(self, image_size: int, num_maps: int, width: int) -> None:
        """Build the network.

        Args:
            image_size: side S of the pictures, even.
            num_maps: attention maps; each gives an offset (x, y) and a strength.
            width: channels of the hidden maps.
        """
        super().__init__()
        self.feature_dim = 3 * num_maps
        self.maps = nn.Sequential(
            nn.Conv2d(4, width, 5, stride=STRIDE, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, num_maps, 3, padding=1),
        )
        self.log_pull = nn.Parameter(torch.linspace(*LOG_PULLS, num_maps)[:, None])
        self.sharpness = nn.Parameter(torch.full((num_maps, 1), INITIAL_SHARPNESS))
        self.mean_picture: Tensor
        self.register_buffer("mean_picture", torch.zeros(1, 4, image_size, image_size))
        side = image_size // STRIDE
        grid = (2 * torch.arange(side) + 1) / side - 1.0
        y, x = torch.meshgrid(grid, grid, indexing="ij")
        self.places: Tensor
        self.register_buffer("places", torch.stack([x, y], -1).flatten(0, 1), persistent=False)
        self.camera: Tensor
        camera = torch.tensor(PROJECTION).view(4, 4).T @ torch.tensor(VIEW).view(4, 4).T
        self.register_buffer("camera", camera, persistent=False)

    def init_from_data(self, images: Tensor) -> None:
        """Take the mean picture of uint8 (B, S, S, 3)."""
        self.mean_picture.copy_(with_chroma(images).mean(0, keepdim=True))

    def forward(self, images: Tensor, proprioception: Tensor) -> Tensor:
        """Offsets' x, their y, and strengths of all maps, one group after the other, float32."""
        difference = with_chroma(images).sub_(self.mean_picture).mul_(INPUT_GAIN)
        maps = self.maps(difference).float().contiguous().flatten(2)  # (B, maps, places)
        variance = torch.linalg.vecdot(maps, maps) / maps.shape[-1] - maps.mean(-1).square()
        spread = variance.clamp_min(0.0).sqrt()[..., None] + 1e-2
        spot = self.spot_under(proprioception[:, :3])
        distance = (self.places - spot[:, None]).square().sum(-1)
        logits = maps * (self.sharpness / spread) - self.log_pull.exp() * distance[:, None]
        attention = logits.softmax(-1)
        x, y = (OFFSET_GAIN * (attention @ self.places - spot[:, None])).unbind(-1)
        strength = torch.tanh(torch.linalg.vecdot(attention, maps) / STRENGTH_SCALE)
        return torch.cat([x, y, strength], -1)

    def spot_under(self, gripper: Tensor) -> Tensor:
        """Where the picture shows the spot under a gripper at (B, 3), m: (B, 2) in [-1, 1]."""
        spot = torch.cat([gripper[:, :2], torch.ones_like(gripper[:, :2])], -1)
        spot[:, 2] = TABLE_HEIGHT_M
        clip = spot @ self.camera.T
        right, up = (clip[:, :2] / clip[:, 3:]).unbind(-1)
        return torch.stack([right, -up], -1)


def with_chroma(images: Tensor) -> Tensor:
    """Scaled pictures with a fourth channel, max less min of RGB: (B, 4, S, S).

    Table, arm and most containers are grey; chroma shows an object whatever its colour.
    """
    pixels = scale_images(images)
    chroma = pixels.amax(1, keepdim=True) - pixels.amin(1, keepdim=True)
    four = torch.cat([pixels, chroma], 1)
    return four.contiguous(memory_format=torch.channels_last)
