"""Keypoints that explain a picture: where things are, learned without labels.

A prior never has to tell one object from another, so its own features need not. An autoencoder
whose bottleneck is a handful of points (spatial softmax: Finn et al. 2016; keypoints that must
explain a picture: Jakab et al. 2018) has to put a point on everything that moves.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parrot_models.networks.image_encoder import scale_images
from parrot_models.networks.maps import INPUT_GAIN, STRIDE, make_maps
from parrot_models.networks.spatial_softmax import SpatialSoftmax, pixel_centers

BLOB_SIGMA = 0.08  # width of a keypoint's blob, in halves of the picture's width
STRENGTH_SCALE = 8.0  # map value at which a strength begins to saturate
FOREGROUND_THRESHOLD = 0.06  # of the pixel range, from the mean picture


class KeypointEncoder(nn.Module):
    """Pictures to keypoints: uint8 (B, S, S, 3) -> features (B, 3 * num_keypoints).

    Features are the keypoints' x in [-1, 1], their y, and their strengths, one group after the
    other. A strength says how much of what its keypoint looks for is in the picture.
    """

    def __init__(self, image_size: int, num_keypoints: int, width: int) -> None:
        """Build the network.

        Args:
            image_size: side S of the pictures, even.
            num_keypoints: points a picture is reduced to.
            width: channels of the hidden maps.
        """
        super().__init__()
        self.num_keypoints = num_keypoints
        self.feature_dim = 3 * num_keypoints
        self.maps = make_maps(3, width, num_keypoints)
        self.attend = SpatialSoftmax(image_size // STRIDE, num_keypoints, STRENGTH_SCALE)
        self.mean_picture: Tensor
        mean_picture = torch.zeros(1, 3, image_size, image_size)
        self.register_buffer("mean_picture", mean_picture.to(memory_format=torch.channels_last))

    def forward(self, images: Tensor) -> Tensor:
        """Features (B, 3 * num_keypoints) in float32 of uint8 pictures (B, S, S, 3)."""
        difference = scale_images(images).sub_(self.mean_picture).mul_(INPUT_GAIN)
        places, strengths = self.attend(self.maps(difference))
        x, y = places.unbind(-1)
        return torch.cat([x, y, strengths], -1)


class KeypointDecoder(nn.Module):
    """Keypoints back to pictures, as a difference from the mean picture."""

    def __init__(self, image_size: int, num_keypoints: int, width: int) -> None:
        """Build the network; arguments as for the encoder."""
        super().__init__()
        self.grid: Tensor
        self.register_buffer("grid", pixel_centers(image_size // STRIDE), persistent=False)
        self.draw = nn.Sequential(
            nn.Conv2d(num_keypoints, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, 3 * STRIDE**2, 3, padding=1),
            nn.PixelShuffle(STRIDE),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Difference from the mean picture (B, 3, S, S) that the features (B, 3 * K) explain."""
        x, y, strength = features.chunk(3, -1)
        grid = self.grid[:, None]
        across = torch.exp((grid - x[:, None]).square() / (-2 * BLOB_SIGMA**2))
        down = torch.exp((grid - y[:, None]).square() / (-2 * BLOB_SIGMA**2)) * strength[:, None]
        blobs = down[:, :, None] * across[:, None, :]  # (B, height, width, keypoints)
        drawn: Tensor = self.draw(blobs.permute(0, 3, 1, 2))
        return drawn


class KeypointAutoencoder(nn.Module):
    """Encoder and decoder trained together; only the encoder is kept."""

    def __init__(
        self, image_size: int, num_keypoints: int, width: int, foreground_weight: float
    ) -> None:
        """Build both halves.

        Args:
            image_size: side of the pictures, pixels.
            num_keypoints: points a picture is reduced to.
            width: channels of the hidden maps.
            foreground_weight: weight of pixels that differ from the mean picture, against 1.
        """
        super().__init__()
        self.foreground_weight = foreground_weight
        self.encoder = KeypointEncoder(image_size, num_keypoints, width)
        self.decoder = KeypointDecoder(image_size, num_keypoints, width)

    def loss(self, images: Tensor) -> Tensor:
        """Weighted squared error of the reconstruction; scalar.

        Nearly every pixel shows table; unweighted, the autoencoder would explain its shading and
        leave out the objects.
        """
        difference = scale_images(images) - self.encoder.mean_picture
        is_foreground = difference.abs().amax(1, keepdim=True) > FOREGROUND_THRESHOLD
        weight = 1.0 + (self.foreground_weight - 1.0) * is_foreground
        error = (self.decoder(self.encoder(images)).float() - difference).square()
        loss: Tensor = (weight * error).mean() / weight.mean()
        return loss
