"""The flow of a prior, built from nflows: the same conditioners, masks and bound on the scale."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
from nflows.distributions.normal import StandardNormal
from nflows.flows.base import Flow
from nflows.nn.nets.mlp import MLP
from nflows.transforms.base import CompositeTransform
from nflows.transforms.coupling import AffineCouplingTransform
from torch import Tensor, nn

from parrot_models.flows.coupling import AffineCoupling, RealNVP


class Conditioner(nn.Module):
    """nflows' MLP on (kept, context): its own takes no context."""

    def __init__(self, kept_dim: int, context_dim: int, out: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.net = MLP([kept_dim + context_dim], [out], list(hidden))

    def forward(self, kept: Tensor, context: Tensor) -> Tensor:
        """Shift and raw log_scale, (B, out)."""
        parameters: Tensor = self.net(torch.cat([kept, context], -1))
        return parameters


class BoundedCoupling(AffineCouplingTransform):  # type: ignore[misc]
    """nflows' coupling with our affine map, so that both flows can be the same function.

    It takes fewer operations than the map it replaces, a sigmoid and a logarithm.
    """

    def __init__(self, mask: Sequence[int], net: Any, max_log_scale: float) -> None:
        super().__init__(mask, net)
        self.max_log_scale = max_log_scale

    def _coupling_transform_forward(
        self, inputs: Tensor, transform_params: Tensor
    ) -> tuple[Tensor, Tensor]:
        shift, raw = transform_params.chunk(2, -1)
        log_scale = self.max_log_scale * torch.tanh(raw)
        return (inputs - shift) * torch.exp(-log_scale), -log_scale.sum(-1)

    def _coupling_transform_inverse(
        self, inputs: Tensor, transform_params: Tensor
    ) -> tuple[Tensor, Tensor]:
        shift, raw = transform_params.chunk(2, -1)
        log_scale = self.max_log_scale * torch.tanh(raw)
        return inputs * torch.exp(log_scale) + shift, log_scale.sum(-1)


def nflows_flow(
    dim: int, context_dim: int, num_layers: int, hidden: Sequence[int], max_log_scale: float
) -> Any:
    """An `nflows.flows.Flow` of the shape of `RealNVP`, arguments alike.

    Without activation normalisation, which ours has: that favours this one.
    """

    def net(kept_dim: int, out: int) -> Conditioner:
        return Conditioner(kept_dim, context_dim, out, hidden)

    # From the data to the base: nflows' forward direction meets our last layer first.
    masks = [[int((i + layer) % 2) for i in range(dim)] for layer in reversed(range(num_layers))]
    couplings = [BoundedCoupling(mask, net, max_log_scale) for mask in masks]
    return Flow(CompositeTransform(couplings), StandardNormal([dim]))


@torch.no_grad()
def copy_weights(ours: RealNVP, theirs: Any) -> None:
    """Make an `nflows_flow` of the same shape the same function as ours.

    Activation normalisation of ours counts as part of the last layers; that of the data must
    still be the identity.
    """
    num_layers, width = len(ours.couplings), ours.context_weight.shape[1] // len(ours.couplings)
    for layer, coupling in enumerate(cast("list[AffineCoupling]", list(ours.couplings))):
        net = theirs._transform._transforms[num_layers - 1 - layer].transform_net.net
        place = slice(layer * width, (layer + 1) * width)
        first = torch.cat([coupling.kept_weight, ours.context_weight[:, place]])
        net._input_layer.weight.copy_(first.T)
        net._input_layer.bias.copy_(ours.context_bias[place])
        rest = [*net._hidden_layers, net._output_layer]
        for target, source in zip(
            rest, cast("list[nn.Linear]", list(coupling.layers)), strict=True
        ):
            target.weight.copy_(source.weight)
            target.bias.copy_(source.bias)
