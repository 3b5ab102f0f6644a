"""Where the tool is, read off the images: what a foveal encoder is fed where nothing tells it.

The data know the tool's position though no policy may: the head learns it from them, and acts on
images alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from parrot_data.episodes.spec import ImageSpec
from parrot_models.networks.image_encoder import scale_images
from parrot_models.networks.maps import INPUT_GAIN
from parrot_models.networks.mlp import mlp
from parrot_models.networks.observations import STD_FLOOR, Observations

HALVINGS = 3  # strided convolutions, each of which halves an image, rounded up
HIDDEN = [256]  # fully connected units after them


class _Look(nn.Module):
    """uint8 images (B, H, W, 3) -> (B, feature_dim), by convolutions of the mean's difference."""

    def __init__(self, image: ImageSpec, width: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(3, width, 5, stride=2, padding=2),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(2 * width, 2 * width, 3, stride=2, padding=1),
            nn.ReLU(inplace=True),
        )
        height, across = (-(-side // 2**HALVINGS) for side in (image.height, image.width))
        self.feature_dim = 2 * width * height * across
        self.mean_image: Tensor
        mean_image = torch.zeros(1, 3, image.height, image.width)
        self.register_buffer("mean_image", mean_image.to(memory_format=torch.channels_last))

    def forward(self, images: Tensor) -> Tensor:
        difference = scale_images(images).sub_(self.mean_image).mul_(INPUT_GAIN)
        maps: Tensor = self.convolutions(difference)
        return maps.flatten(1)


class PoseHead(nn.Module):
    """Observations to the tool's position: (B, ...) by name -> (B, 3) m; it looks at images alone.

    Args:
        images: heights and widths by name, at least one.
        width: channels of the first convolution; the others have twice as many.
    """

    def __init__(self, images: Mapping[str, ImageSpec], width: int) -> None:
        super().__init__()
        self.names = sorted(images)
        looks = {name: _Look(images[name], width) for name in self.names}
        # Prefixed, since a module's own attributes are no names for its children.
        self.looks = nn.ModuleDict({f"of_{name}": look for name, look in looks.items()})
        self.place = mlp(sum(look.feature_dim for look in looks.values()), HIDDEN, 3)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(3))
        self.register_buffer("std", torch.ones(3))

    def init_from_data(self, observations: Observations, positions: Tensor) -> None:
        """Take mean images, and mean and standard deviation of positions (B, 3), m."""
        for name in self.names:
            mean_image = scale_images(observations[name]).mean(0, keepdim=True)
            self.looks[f"of_{name}"].get_buffer("mean_image").copy_(mean_image)
        std = positions.std(0, correction=0)
        self.mean.copy_(positions.mean(0))
        self.std.copy_(torch.where(std > STD_FLOOR, std, torch.ones_like(std)))

    def forward(self, observations: Observations) -> Tensor:
        """Where the images show the tool, float32 (B, 3), m."""
        return self.mean + self.std * self._standardised(observations)

    def loss(self, observations: Observations, positions: Tensor) -> Tensor:
        """Mean squared error against positions (B, 3), m, in standard deviations of the data."""
        wanted = (positions - self.mean) / self.std
        return functional.mse_loss(self._standardised(observations), wanted)

    def _standardised(self, observations: Observations) -> Tensor:
        seen = [self.looks[f"of_{name}"](observations[name]) for name in self.names]
        features = torch.cat(seen, -1)
        # Not in autocast's bits: a foveal encoder goes by fractions of a pixel.
        with torch.autocast(features.device.type, enabled=False):
            placed: Tensor = self.place(features.float())
        return placed
