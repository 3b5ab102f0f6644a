"""The convolutions under a spatial softmax: a picture's planes to maps of half its width."""

from __future__ import annotations

from torch import nn

STRIDE = 2  # maps are half as wide as the picture
INPUT_GAIN = 4.0  # the difference from the mean picture is small against 1


def make_maps(num_planes: int, width: int, num_maps: int) -> nn.Sequential:
    """Three convolutions: (B, num_planes, S, S) -> (B, num_maps, S / 2, S / 2), any sign.

    Args:
        num_planes: 3 for RGB, 4 with chroma.
        width: channels of the hidden maps.
        num_maps: of the result.
    """
    return nn.Sequential(
        nn.Conv2d(num_planes, width, 5, stride=STRIDE, padding=2),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, width, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(width, num_maps, 3, padding=1),
    )
