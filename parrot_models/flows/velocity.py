"""The velocity v(x, t; s) of a flow in continuous time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

NUM_FREQUENCIES = 4  # of time: half a wave and its first overtones


class VelocityField(nn.Module):
    """A fully connected network on (x, t, context), zero before it is trained.

    Its first layer splits in two: the context's part is computed once for all steps of an
    integration (`context_term`). SiLU and not ReLU, because an integral of its divergence needs a
    derivative without jumps.

    Args:
        dim: width of x.
        context_dim: width of the context.
        hidden: widths of the hidden layers, at least one.
    """

    def __init__(self, dim: int, context_dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.context_layer = nn.Linear(context_dim, hidden[0])
        self.state_layer = nn.Linear(dim + 1 + 2 * NUM_FREQUENCIES, hidden[0], bias=False)
        self.layers = nn.ModuleList(
            nn.Linear(width, next_width) for width, next_width in pairwise([*hidden, dim])
        )
        last = cast(nn.Linear, self.layers[-1])
        last.weight.data.zero_()
        last.bias.data.zero_()
        self.frequencies: Tensor
        frequencies = math.pi * torch.arange(1, NUM_FREQUENCIES + 1)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def context_term(self, context: Tensor) -> Tensor:
        """The context's part of the first layer, (B, hidden[0])."""
        term: Tensor = self.context_layer(context)
        return term

    def forward(self, x: Tensor, time: Tensor, context_term: Tensor) -> Tensor:
        """Velocity (B, dim) of x (B, dim) at times (B, 1) from 0, the base, to 1, the data."""
        hidden = self._first(x, time, context_term)
        for layer in self._layers():
            hidden = functional.linear(functional.silu(hidden), layer.weight, layer.bias)
        return hidden

    def with_divergence(
        self, x: Tensor, time: Tensor, context_term: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`forward`, and the trace of its derivative by x, (B,).

        The derivatives by all dimensions go forward through the layers together: half the work of
        going backward once a dimension, and it needs no recorded graph.
        """
        hidden = self._first(x, time, context_term)
        derivatives = self.state_layer.weight[:, : x.shape[-1]].T[:, None]  # (dim, 1, width)
        for layer in self._layers():
            gate = hidden.sigmoid()
            slope = gate * (1.0 + hidden * (1.0 - gate))  # of silu
            hidden = functional.linear(hidden * gate, layer.weight, layer.bias)
            derivatives = functional.linear(derivatives * slope, layer.weight)
        return hidden, derivatives.diagonal(dim1=0, dim2=2).sum(-1)

    def _first(self, x: Tensor, time: Tensor, context_term: Tensor) -> Tensor:
        angles = time * self.frequencies
        state = torch.cat((x, time, angles.cos(), angles.sin()), -1)
        return functional.linear(state, self.state_layer.weight) + context_term

    def _layers(self) -> Iterable[nn.Linear]:
        return cast("Iterable[nn.Linear]", self.layers)
