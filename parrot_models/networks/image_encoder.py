"""Convolutional encoders: uint8 images in, features out."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from parrot_data.episodes.spec import ImageSpec
from parrot_data.errors import UserError
from parrot_models.networks.mlp import mlp

ConvolutionalKind = Literal["fast", "paper"]
PAPER_HIDDEN, FAST_HIDDEN = [1024, 512], [256]  # fully connected units after the convolutions


def scale_images(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn uint8 images (B, H, W, 3) into values (B, 3, H, W) in [-0.5, 0.5].

    With `scale_planes` the only place where pixels are scaled, so that training and acting cannot
    disagree. The values lie in channels-last memory order, the order in which convolutions are
    fastest. bfloat16 holds them as well as it can: the difference taken first is exact in it.

    Raises:
        ValueError: the images are not uint8 (B, H, W, 3); scaled twice, they would mislead.
    """
    if images.dtype != torch.uint8 or images.ndim != 4 or images.shape[-1] != 3:
        shape = tuple(images.shape)
        raise ValueError(f"images must be uint8 (B, H, W, 3), got {images.dtype} {shape}")
    return scale_planes(images.permute(0, 3, 1, 2), dtype)


def scale_planes(planes: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Turn uint8 planes (B, C, H, W) into values in [-0.5, 0.5], in the planes' memory order."""
    return planes.to(dtype).sub_(127.5).div_(255.0)


class ImageEncoder(nn.Module):
    """Convolutions, then fully connected layers: uint8 (B, H, W, 3) -> (B, feature_dim).

    Args:
        convolutions: of scaled images.
        hidden: widths of the fully connected layers after them.
        image: height and width; a dry pass tells what the convolutions make of them.
        feature_dim: width of the result.
    """

    def __init__(
        self, convolutions: nn.Sequential, hidden: list[int], image: ImageSpec, feature_dim: int
    ) -> None:
        super().__init__()
        self.convolutions = convolutions
        with torch.no_grad():
            width = convolutions(torch.zeros(1, 3, image.height, image.width)).numel()
        self.head = mlp(width, hidden, feature_dim)
        self.feature_dim = feature_dim

    def forward(self, images: Tensor) -> Tensor:
        """Encode uint8 (B, H, W, 3) as (B, feature_dim).

        Raises:
            ValueError: the images are not uint8 (B, H, W, 3).
        """
        dtype = next(self.parameters()).dtype
        if torch.is_autocast_enabled(images.device.type):  # spares the convolution's own cast
            dtype = torch.get_autocast_dtype(images.device.type)
        pixels = scale_images(images, dtype)
        features: Tensor = self.head(self.convolutions(pixels).flatten(1))
        return features


def paper_encoder(image: ImageSpec, feature_dim: int) -> ImageEncoder:
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
    return ImageEncoder(convolutions, PAPER_HIDDEN, image, feature_dim)


def fast_encoder(image: ImageSpec, feature_dim: int) -> ImageEncoder:
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
    return ImageEncoder(convolutions, FAST_HIDDEN, image, feature_dim)


ENCODERS = {"paper": paper_encoder, "fast": fast_encoder}
LEAST_SIDE = 8  # pixels: what the strides of either encoder need


def make_image_encoder(kind: ConvolutionalKind, image: ImageSpec, feature_dim: int) -> ImageEncoder:
    """Build the convolutional encoder of a kind, with freshly drawn weights.

    Raises:
        UserError: the images are too small for it.
    """
    if min(image.height, image.width) < LEAST_SIDE:
        raise UserError(
            f"the encoder {kind} needs images of {LEAST_SIDE} pixels a side at least, and these "
            f"have {image.height} x {image.width}: record larger ones"
        )
    return ENCODERS[kind](image, feature_dim)
