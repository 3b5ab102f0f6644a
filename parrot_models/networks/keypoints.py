"""Keypoints that explain an image: where things are, learned without labels.

A prior never has to tell one object from another, so its own features need not. An autoencoder
whose bottleneck is a handful of points (spatial softmax: Finn et al. 2016; keypoints that must
explain an image: Jakab et al. 2018) has to put a point on everything that moves.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from parrot_data.episodes.spec import ImageSpec
from parrot_data.errors import UserError
from parrot_models.networks.image_encoder import scale_images
from parrot_models.networks.maps import INPUT_GAIN, STRIDE, make_maps, map_size
from parrot_models.networks.observations import Observations
from parrot_models.networks.spatial_softmax import SpatialSoftmax, pixel_centers

BLOB_SIGMA = 0.08  # width of a keypoint's blob, in halves of the image's width
STRENGTH_SCALE = 8.0  # map value at which a strength begins to saturate
FOREGROUND_THRESHOLD = 0.06  # of the pixel range, from the mean image


class KeypointEncoder(nn.Module):
    """Images to keypoints: uint8 (B, H, W, 3) -> features (B, 3 * num_keypoints).

    Features are the keypoints' x in [-1, 1], their y, and their strengths, one group after the
    other. A strength says how much of what its keypoint looks for is in the image.

    Args:
        image: height and width.
        num_keypoints: points an image is reduced to.
        channels: of the hidden maps.
    """

    def __init__(self, image: ImageSpec, num_keypoints: int, channels: int) -> None:
        super().__init__()
        self.num_keypoints = num_keypoints
        self.feature_dim = 3 * num_keypoints
        self.maps = make_maps(3, channels, num_keypoints)
        size = map_size(image.height, image.width)
        self.attend = SpatialSoftmax(size, num_keypoints, STRENGTH_SCALE)
        self.mean_image: Tensor
        mean_image = torch.zeros(1, 3, image.height, image.width)
        self.register_buffer("mean_image", mean_image.to(memory_format=torch.channels_last))

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, 3 * num_keypoints) in float32 of uint8 images (B, H, W, 3)."""
        difference = scale_images(images).sub_(self.mean_image).mul_(INPUT_GAIN)
        places, strengths = self.attend(self.maps(difference))
        x, y = places.unbind(-1)
        return torch.cat([x, y, strengths], -1)


class KeypointDecoder(nn.Module):
    """Keypoints back to images, as a difference from the mean image; arguments as the encoder's."""

    def __init__(self, image: ImageSpec, num_keypoints: int, channels: int) -> None:
        super().__init__()
        self._height, self._width = image.height, image.width
        height, width = map_size(image.height, image.width)
        self.rows: Tensor
        self.columns: Tensor
        self.register_buffer("rows", pixel_centers(height), persistent=False)
        self.register_buffer("columns", pixel_centers(width), persistent=False)
        self.draw = nn.Sequential(
            nn.Conv2d(num_keypoints, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, 3 * STRIDE**2, 3, padding=1),
            nn.PixelShuffle(STRIDE),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Difference from the mean image (B, 3, H, W) that the features (B, 3 * K) explain."""
        x, y, strength = features.chunk(3, -1)
        off_across = (self.columns[:, None] - x[:, None]).square()
        off_down = (self.rows[:, None] - y[:, None]).square()
        across = torch.exp(off_across / (-2 * BLOB_SIGMA**2))
        down = torch.exp(off_down / (-2 * BLOB_SIGMA**2)) * strength[:, None]
        blobs = down[:, :, None] * across[:, None, :]  # (B, height, width, keypoints)
        drawn: Tensor = self.draw(blobs.permute(0, 3, 1, 2))
        return drawn[:, :, : self._height, : self._width]  # of an odd side a row is too many


class KeypointAutoencoder(nn.Module):
    """Encoder and decoder trained together; only the encoder is kept.

    Args:
        image: height and width.
        num_keypoints: points an image is reduced to.
        channels: of the hidden maps.
        foreground_weight: weight of pixels that differ from the mean image, against 1.
    """

    def __init__(
        self, image: ImageSpec, num_keypoints: int, channels: int, foreground_weight: float
    ) -> None:
        super().__init__()
        self.foreground_weight = foreground_weight
        self.encoder = KeypointEncoder(image, num_keypoints, channels)
        self.decoder = KeypointDecoder(image, num_keypoints, channels)

    def loss(self, images: Tensor) -> Tensor:
        """Weighted squared error of the reconstruction; scalar.

        Nearly every pixel shows table; unweighted, the autoencoder would explain its shading and
        leave out the objects.
        """
        difference = scale_images(images) - self.encoder.mean_image
        is_foreground = difference.abs().amax(1, keepdim=True) > FOREGROUND_THRESHOLD
        weight = 1.0 + (self.foreground_weight - 1.0) * is_foreground
        error = (self.decoder(self.encoder(images)).float() - difference).square()
        loss: Tensor = (weight * error).mean() / weight.mean()
        return loss


class Keypoints(nn.Module):
    """The keypoints of every image of an observation, side by side.

    Args:
        images: heights and widths by name.
        num_keypoints, channels: of each, see `KeypointEncoder`.

    Raises:
        UserError: there are no images.
    """

    def __init__(self, images: Mapping[str, ImageSpec], num_keypoints: int, channels: int) -> None:
        super().__init__()
        if not images:
            raise UserError(
                "keypoints reconstruction needs images, and the data have vectors alone: set "
                "keypoints to {kind: none}"
            )
        self.names = sorted(images)
        # Prefixed, since a module's own attributes are no names for its children.
        self.encoders = nn.ModuleDict(
            {f"of_{k}": KeypointEncoder(images[k], num_keypoints, channels) for k in self.names}
        )
        self.feature_dim = 3 * num_keypoints * len(self.names)

    def encoder_of(self, name: str) -> nn.Module:
        """The encoder of an image."""
        return self.encoders[f"of_{name}"]

    def forward(self, observations: Observations) -> Tensor:
        """Features (B, feature_dim), float32, of observations (B, ...) by name."""
        return torch.cat([self.encoder_of(name)(observations[name]) for name in self.names], -1)
