"""An ensemble of critics whose members are one batched product a layer."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class EnsembleLinear(nn.Module):
    """E linear layers as one batched product: (E, B, input_dim) -> (E, B, output_dim)."""

    def __init__(
        self, num_members: int, input_dim: int, output_dim: int, generator: torch.Generator
    ) -> None:
        super().__init__()
        bound = 1.0 / math.sqrt(input_dim)
        weight = torch.empty(num_members, input_dim, output_dim)
        bias = torch.empty(num_members, 1, output_dim)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound, generator=generator))
        self.bias = nn.Parameter(bias.uniform_(-bound, bound, generator=generator))

    def forward(self, x: Tensor) -> Tensor:
        """(E, B, output_dim) of (E, B, input_dim)."""
        return torch.baddbmm(self.bias, x, self.weight)


class EnsembleNormReLU(nn.Module):
    """ReLU of E layer normalizations over the last dimension: (E, B, dim) -> the same.

    Each has a bias but no scale: the next linear layer would absorb a positive scale.
    """

    def __init__(self, num_members: int, dim: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(num_members, 1, dim))

    def forward(self, x: Tensor) -> Tensor:
        """(E, B, dim), non-negative."""
        # In place: at this size a fresh buffer costs more than the arithmetic (measured x10).
        return functional.layer_norm(x, x.shape[-1:]).add_(self.bias).relu_()


class Critic(nn.Module):
    """Q(s, a) of E independent members with LayerNorm after every hidden layer (RLPD).

    Args:
        input_dim: width of the trunk's output.
        action_dim: width of the actions it judges.
        hidden: widths of the hidden layers.
        num_members: E, two for the clipped double Q of SAC.
        generator: source of the initial weights.
    """

    def __init__(
        self,
        input_dim: int,
        action_dim: int,
        hidden: Sequence[int],
        num_members: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.num_members = num_members
        layers: list[nn.Module] = []
        for width, next_width in itertools.pairwise([input_dim + action_dim, *hidden]):
            layers.append(EnsembleLinear(num_members, width, next_width, generator))
            layers.append(EnsembleNormReLU(num_members, next_width))
        layers.append(EnsembleLinear(num_members, hidden[-1], 1, generator))
        self.layers = nn.Sequential(*layers)

    def forward(self, encoded: Tensor, actions: Tensor) -> Tensor:
        """Values (E, B) of encoded observations (B, input_dim) and actions (B, action_dim)."""
        x = torch.cat([encoded, actions], dim=-1)
        values: Tensor = self.layers(x.expand(self.num_members, *x.shape))
        return values.squeeze(-1)
