"""A tanh-Gaussian actor."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

LOG_STD_RANGE = (-5.0, 1.0)  # of the Gaussian under the tanh


class Actor(nn.Module):
    """A Gaussian squashed by tanh into the action box.

    Args:
        input_dim: width of the trunk's output.
        action_low, action_high: float32 (A,), the corners of the box.
        hidden: widths of the hidden layers.
        initial_std: standard deviation under the tanh before any training; the initial mean is the
            box's centre. In a latent box of half-width b, 1 / b makes the first actions look like
            the prior's own: z close to N(0, I).
        generator: source of the initial weights.
        log_std_range: of the logarithm of the standard deviation under the tanh.

    Attributes:
        clips_input: whether the trunk may clip what it gives.
    """

    clips_input = True

    def __init__(
        self,
        input_dim: int,
        action_low: Tensor,
        action_high: Tensor,
        hidden: Sequence[int],
        initial_std: float,
        generator: torch.Generator,
        log_std_range: tuple[float, float] = LOG_STD_RANGE,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width, next_width in itertools.pairwise([input_dim, *hidden]):
            layers += [_linear(width, next_width, math.sqrt(2.0), generator), nn.ReLU(inplace=True)]
        layers.append(_linear(hidden[-1], 2 * len(action_low), 0.01, generator))
        self.layers = nn.Sequential(*layers)
        self.register_buffer("centre", (action_high + action_low) / 2)
        self.register_buffer("half_width", (action_high - action_low) / 2)
        self.centre: Tensor
        self.half_width: Tensor
        self._log_std_range = low, high = log_std_range
        self._log_std_offset = math.atanh(2 * (math.log(initial_std) - low) / (high - low) - 1)

    def forward(self, encoded: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log standard deviation (B, A) under the tanh."""
        return self.gaussian_of(self.layers(encoded))

    def gaussian_of(self, output: Tensor) -> tuple[Tensor, Tensor]:
        """The same of the last layer's output (B, 2 A)."""
        mean, raw = output.chunk(2, dim=-1)
        low, high = self._log_std_range
        log_std = low + 0.5 * (high - low) * (torch.tanh(raw + self._log_std_offset) + 1)
        return mean, log_std

    def sample(self, encoded: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Actions (B, A), differentiable in the parameters, and their log_probs (B,).

        The generator is on the actor's device.

        The density is that of the action scaled to [-1, 1], as is usual for SAC, so that a target
        entropy means the same in every box.
        """
        mean, log_std = self(encoded)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype, device=mean.device)
        unsquashed = mean + log_std.exp() * noise
        log_prob = (-0.5 * noise**2 - log_std - 0.5 * math.log(2 * math.pi)).sum(-1)
        return self._squash(unsquashed), log_prob - tanh_log_det(unsquashed)

    def stand_on(self, mean: Tensor, std: Tensor) -> None:
        """The trunk standardises by these from now on; nothing learned yet depends on it."""

    def penalty(self, encoded: Tensor) -> Tensor:
        """What its loss adds, of the trunk's output (B, input_dim), to SAC's own; here 0, ()."""
        return encoded.new_zeros(())

    def mode(self, encoded: Tensor) -> Tensor:
        """The action (B, A) at the Gaussian's mean."""
        return self._squash(self(encoded)[0])

    def _squash(self, unsquashed: Tensor) -> Tensor:
        return self.centre + self.half_width * torch.tanh(unsquashed)


def tanh_log_det(x: Tensor) -> Tensor:
    """log|det d tanh(x) / dx| summed over the last dimension, stable for large |x|."""
    return (2.0 * (math.log(2.0) - x - functional.softplus(-2.0 * x))).sum(-1)


def _linear(input_dim: int, output_dim: int, gain: float, generator: torch.Generator) -> nn.Linear:
    layer = nn.Linear(input_dim, output_dim)
    nn.init.orthogonal_(layer.weight, gain, generator=generator)
    nn.init.zeros_(layer.bias)
    return layer
