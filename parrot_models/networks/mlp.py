"""Fully connected networks."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn


def mlp(
    input_dim: int, hidden: Sequence[int], output_dim: int, *, layer_norm: bool = False
) -> nn.Sequential:
    """Build linear layers with a ReLU after each but the last: (B, input_dim) -> (B, output_dim).

    Args:
        input_dim: width of the input.
        hidden: widths of the hidden layers; none makes a single linear layer.
        output_dim: width of the output, which is left linear.
        layer_norm: normalise before each ReLU, which keeps a critic from extrapolating wildly.
    """
    layers: list[nn.Module] = []
    width = input_dim
    for next_width in hidden:
        layers.append(nn.Linear(width, next_width))
        if layer_norm:
            layers.append(nn.LayerNorm(next_width))
        layers.append(nn.ReLU(inplace=True))
        width = next_width
    layers.append(nn.Linear(width, output_dim))
    return nn.Sequential(*layers)
