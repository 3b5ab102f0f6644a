"""The affine coupling layer of RealNVP (Dinh et al. 2017), conditional and normalised."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

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
    """

    def __init__(
        self, kept_dim: int, moved_dim: int, hidden: Sequence[int], max_log_scale: float
    ) -> None:
        super().__init__()
        self.moved_dim = moved_dim
        self.max_log_scale = max_log_scale
        self.kept_weight = nn.Parameter(torch.empty(hidden[0], kept_dim))
        self.hidden_layers = nn.ModuleList(
            nn.Linear(width, next_width) for width, next_width in pairwise(hidden)
        )
        # Zero weights make the untrained layer the identity: training starts from the plain base.
        self.last_weight = nn.Parameter(torch.zeros(2 * moved_dim, hidden[-1]))
        self.last_bias = nn.Parameter(torch.zeros(2 * moved_dim))
        self.norm_log_scale = nn.Parameter(torch.zeros(moved_dim))

    def conditioner(self, kept: Tensor, context_term: Tensor) -> tuple[Tensor, Tensor]:
        """Shift and log_scale, each (B, moved_dim)."""
        x = (functional.linear(kept, self.kept_weight) + context_term).relu_()
        for layer in self.hidden_layers:
            x = layer(x).relu_()
        outputs = functional.linear(x, self.last_weight, self.last_bias)
        shift, raw = outputs.chunk(2, -1)
        return shift, torch.add(self.norm_log_scale, raw.tanh(), alpha=self.max_log_scale)

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
        self.last_bias[: self.moved_dim] += centre
        residual = (moved - shift - centre) * weights
        self.norm_log_scale.add_(residual.std(0, correction=0).clamp_min(MIN_STD).log())
