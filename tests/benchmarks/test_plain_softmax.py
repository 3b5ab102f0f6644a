"""The rival's spatial softmax is ours, written plainly: the same values and the same gradients."""

from __future__ import annotations

import torch

from benchmarks.rivals.plain_softmax import PlainSpatialSoftmax
from parrot_models.networks.spatial_softmax import SpatialSoftmax


def test_values_and_gradients_agree() -> None:
    torch.manual_seed(0)
    ours = SpatialSoftmax((12, 10), 5, 4.0)
    with torch.no_grad():
        ours.sharpness.uniform_(1.0, 5.0)
    plain = PlainSpatialSoftmax(ours)
    maps, pull = torch.randn(3, 5, 12, 10), torch.randn(3, 5, 3)
    results = []
    for softmax in (ours, plain):
        leaf = maps.clone().requires_grad_()
        places, strengths = softmax(leaf, pull)
        (places.square().sum() + strengths.square().sum()).backward()
        results.append((places, strengths, leaf.grad, softmax.sharpness.grad))
    for mine, theirs in zip(*results, strict=True):
        torch.testing.assert_close(mine, theirs, rtol=1e-3, atol=1e-5)
