"""The convolutions under a spatial softmax: an image's planes to maps of half its size."""

from __future__ import annotations

from torch import nn

STRIDE = 2  # maps are half as wide and high as the image
INPUT_GAIN = 4.0  # the difference from the mean image is small against 1


def make_maps(num_planes: int, channels: int, num_maps: int) -> nn.Sequential:
    """Three convolutions: (B, num_planes, H, W) -> (B, num_maps, H / 2, W / 2), any sign.

    Args:
        num_planes: 3 for RGB, 4 with chroma.
        channels: of the hidden maps.
        num_maps: of the result.
    """
    return nn.Sequential(
        nn.Conv2d(num_planes, channels, 5, stride=STRIDE, padding=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, channels, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(channels, num_maps, 3, padding=1),
    )


def map_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the maps of an image; an odd side is rounded up."""
    return -(-height // STRIDE), -(-width // STRIDE)
