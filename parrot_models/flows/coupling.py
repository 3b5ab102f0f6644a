"""The affine coupling layer of RealNVP (Dinh et al. 2017), conditional and normalised."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from parrot_models.flows.act_norm import MIN_STD


class AffineCoupling(nn.Module):
    """Moves one half of a vector by an affine map that the other half and the context choose.

    The half with mask 1, `kept` (B, kept_dim), stays unchanged; the other becomes
    `moved * exp(log_scale) + shift`, (B, moved_dim). The conditioner is a fully connected network
    on (kept, context). Its first layer splits in two: the context's part arrives ready made as
    `context_term` (B, hidden[0]), because a flow computes it for all its layers in one product.

    Activation normalisation lives inside: its shift is the bias of the conditioner's last layer,
    its scale is `norm_log_scale`, which stands outside of the bound `max_log_scale`.

    Args:
        kept_dim, moved_dim: widths of the halves.
        hidden: widths of the conditioner's hidden layers, at least one.
        max_log_scale: bound on the log_scale that the conditioner may choose.
        num_more: outputs of the conditioner beyond shift and log_scale, for another kind of layer.
    """

    def __init__(
        self,
        kept_dim: int,
        moved_dim: int,
        hidden: Sequence[int],
        max_log_scale: float,
        num_more: int = 0,
    ) -> None:
        super().__init__()
        self.moved_dim = moved_dim
        self.max_log_scale = max_log_scale
        self.kept_weight = nn.Parameter(torch.empty(kept_dim, hidden[0]))
        self.layers = nn.ModuleList(
            nn.Linear(width, next_width)
            for width, next_width in pairwise([*hidden, 2 * moved_dim + num_more])
        )
        # Zero weights make the untrained layer the identity: training starts from the plain base.
        self._last.weight.data.zero_()
        self._last.bias.data.zero_()
        self.norm_log_scale = nn.Parameter(torch.zeros(moved_dim))

    @property
    def _last(self) -> nn.Linear:
        return cast(nn.Linear, self.layers[-1])

    def outputs(self, kept: Tensor, context_term: Tensor) -> Tensor:
        """All that the conditioner chooses, (B, 2 * moved_dim + num_more)."""
        x = torch.addmm(context_term, kept, self.kept_weight)
        # Not layer(x): at batch 1 calling modules costs half as much as the products themselves.
        for layer in cast("Iterable[nn.Linear]", self.layers):
            x = functional.linear(x.relu_(), layer.weight, layer.bias)
        return x

    def affine_of(self, outputs: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log_scale, each (B, moved_dim), of outputs (B, 2 * moved_dim)."""
        shift, raw = outputs.chunk(2, -1)
        return shift, torch.add(self.norm_log_scale, raw.tanh(), alpha=self.max_log_scale)

    def conditioner(self, kept: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log_scale, each (B, moved_dim)."""
        return self.affine_of(self.outputs(kept, context_term))

    def forward(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Map `moved` toward the data; return it with the log_scale, whose sum is the log_det."""
        shift, log_scale = self.conditioner(kept, context_term)
        return torch.addcmul(shift, moved, log_scale.exp()), log_scale

    def inverse(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Undo `forward`: map `moved` toward the base; minus the log_scale's sum is the log_det."""
        shift, log_scale = self.conditioner(kept, context_term)
        return (moved - shift) * torch.exp(-log_scale), log_scale

    @torch.no_grad()
    def init_from_data(self, kept: Tensor, moved: Tensor, context_term: Tensor) -> None:
        """Make the inverse of `moved` have zero mean and unit deviation over this batch."""
        shift, log_scale = self.conditioner(kept, context_term)
        weights = torch.exp(-log_scale)
        centre = ((moved - shift) * weights).sum(0) / weights.sum(0)
        self._last.bias[: self.moved_dim] += centre
        residual = (moved - shift - centre) * weights
        self.norm_log_scale.add_(residual.std(0, correction=0).clamp_min(MIN_STD).log())
