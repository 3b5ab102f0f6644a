"""Convolutional encoders: uint8 pictures in, features out."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from parrot_data.errors import UserError
from parrot_models.networks.mlp import mlp

IMAGE_SHAPE = (48, 48, 3)


def scale_images(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn uint8 pictures (B, H, W, 3) into values (B, 3, H, W) in [-0.5, 0.5].

    With `scale_planes` the only place where pixels are scaled, so that training and acting cannot
    disagree. The values lie in channels-last memory order, the order in which convolutions are
    fastest. bfloat16 holds them as well as it can: the difference taken first is exact in it.

    Raises:
        ValueError: the pictures are not uint8 (B, H, W, 3); scaled twice, they would mislead.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        shape = tuple(images.shape)
        raise ValueError(f"images must be uint8 (B, H, W, 3), got {images.dtype} {shape}")
    return scale_planes(images.permute(0, 3, 1, 2), dtype)


def scale_planes(planes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn uint8 planes (B, C, H, W) into values in [-0.5, 0.5], in the planes' memory order."""
    return planes.to(dtype).sub_(127.5).div_(255.0)


class ImageEncoder(nn.Module):
    """Convolutions, then fully connected layers: uint8 (B, 48, 48, 3) -> (B, feature_dim)."""

    def __init__(self, convolutions: nn.Sequential, head: nn.Module, feature_dim: int) -> None:
        super().__init__()
        self.convolutions = convolutions
        self.head = head
        self.feature_dim = feature_dim

    def forward(self, images: Tensor) -> Tensor:
        """Encode uint8 (B, 48, 48, 3) as (B, feature_dim).

        Raises:
            ValueError: the pictures are not uint8 (B, H, W, 3).
        """
        dtype = next(self.parameters()).dtype
        if torch.is_autocast_enabled(images.device.type):  # spares the convolution's own cast
            dtype = torch.get_autocast_dtype(images.device.type)
        pixels = scale_images(images, dtype)
        features: Tensor = self.head(self.convolutions(pixels).flatten(1))
        return features


def paper_encoder(feature_dim: int) -> ImageEncoder:
    """Build the encoder of PARROT (Singh et al. 2021): three 3x3 convolutions of 16 channels.

    Max-pooling follows the first two; then come 1024, 512 and `feature_dim` (256 in the paper)
    fully connected units.
    """
    convolutions = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 16, 3, padding=1),
        nn.ReLU(inplace=True),
    )
    return ImageEncoder(convolutions, mlp(16 * 12 * 12, [1024, 512], feature_dim), feature_dim)


def fast_encoder(feature_dim: int) -> ImageEncoder:
    """Build an encoder of strided convolutions, several times cheaper than the paper's.

    A stride of four as in Mnih et al. (2015): large maps are what a training step waits for. What a
    coarse map cannot place, its 32 channels tell: each output sees 64 pixels, 16 of them alone.
    """
    convolutions = nn.Sequential(
        nn.Conv2d(3, 32, 8, stride=4, padding=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(32, 48, 3, stride=2, padding=1),
        nn.ReLU(inplace=True),
    )
    return ImageEncoder(convolutions, mlp(48 * 6 * 6, [256], feature_dim), feature_dim)


ENCODERS = {"paper": paper_encoder, "fast": fast_encoder}


def make_encoder(name: str, feature_dim: int) -> ImageEncoder:
    """Build the encoder called `name`, with freshly drawn weights.

    Raises:
        UserError: there is no encoder of that name.
    """
    if name not in ENCODERS:
        known = ", ".join(sorted(ENCODERS))
        raise UserError(f"there is no image encoder {name!r}; choose one of: {known}")
    return ENCODERS[name](feature_dim)
