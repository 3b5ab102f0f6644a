from __future__ import annotations

import pytest
import torch
from torch import nn

from parrot_models.networks.mlp import mlp


@pytest.mark.parametrize("hidden", [[], [4], [4, 6]])
@pytest.mark.parametrize("layer_norm", [False, True])
def test_layers_have_the_widths_asked_for(hidden, layer_norm) -> None:
    network = mlp(3, hidden, 2, layer_norm=layer_norm)
    widths = [(m.in_features, m.out_features) for m in network if isinstance(m, nn.Linear)]
    assert widths == list(zip([3, *hidden], [*hidden, 2], strict=True))
    assert sum(isinstance(m, nn.LayerNorm) for m in network) == len(hidden) * layer_norm
    assert network(torch.randn(5, 3)).shape == (5, 2)


def test_the_output_is_linear() -> None:
    assert mlp(3, [], 2)(torch.randn(200, 3)).min() < 0.0
    assert isinstance(mlp(3, [8], 2)[-1], nn.Linear)


def test_layer_norm_makes_the_scale_of_hidden_values_irrelevant() -> None:
    torch.manual_seed(0)
    network = mlp(3, [16], 2, layer_norm=True)
    with torch.no_grad():
        nn.init.zeros_(network[0].bias)
        x = torch.randn(5, 3)
        torch.testing.assert_close(network(1000.0 * x), network(x), rtol=1e-2, atol=1e-3)
