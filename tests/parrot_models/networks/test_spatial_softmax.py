"""The softmax written by hand is the one that autograd would differentiate."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from parrot_models.networks.spatial_softmax import PIECE_VALUES, SPREAD_FLOOR, SpatialSoftmax

SIZE, NUM_MAPS = (12, 14), 3


def plain(softmax: SpatialSoftmax, maps: Tensor, pull: Tensor) -> tuple[Tensor, Tensor]:
    """What the class says, in as many lines."""
    values = maps.float().flatten(2)
    spread = values.var(-1, correction=0, keepdim=True).sqrt() + SPREAD_FLOOR
    attention = (values * softmax.sharpness / spread + pull @ softmax.basis).softmax(-1)
    found = (attention * values).sum(-1)
    return attention @ softmax.basis[:2].T, torch.tanh(found / softmax.strength_scale)


def some_input(num: int) -> tuple[SpatialSoftmax, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    maps = torch.randn(num, NUM_MAPS, *SIZE, generator=generator).cumsum(-1)
    pull = torch.randn(num, NUM_MAPS, 3, generator=generator)
    return SpatialSoftmax(SIZE, NUM_MAPS, 4.0), maps.to(memory_format=torch.channels_last), pull


@pytest.mark.parametrize(
    "num", [2, PIECE_VALUES // (NUM_MAPS * SIZE[0] * SIZE[1]) + 3]
)  # one piece, two
def test_values_and_gradients_are_those_of_autograd(num: int) -> None:
    softmax, maps, pull = some_input(num)
    inputs = [maps.requires_grad_(), pull.requires_grad_(), softmax.sharpness]
    outcomes = []
    for forward in (softmax, lambda *given: plain(softmax, *given)):
        places, strengths = forward(maps, pull)
        loss = (places.square() * torch.tensor([1.0, 2.0])).sum() + strengths.sin().sum()
        outcomes.append([places, strengths, *torch.autograd.grad(loss, inputs)])
    for ours, expected in zip(*outcomes, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-3, atol=1e-5)


def test_training_and_acting_see_the_same() -> None:
    softmax, maps, pull = some_input(4)
    trained = softmax(maps, pull)
    with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
        acted = softmax(maps, pull)
    assert all(torch.equal(a, b) for a, b in zip(trained, acted, strict=True))


def test_flat_maps_have_finite_gradients() -> None:
    softmax, maps, _ = some_input(2)
    flat = torch.zeros_like(maps, requires_grad=True)
    places, strengths = softmax(flat)
    (places.sum() + strengths.sum()).backward()
    assert flat.grad is not None
    assert flat.grad.isfinite().all()
    assert places.abs().max() < 1e-5
