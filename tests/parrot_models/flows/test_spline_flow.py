"""A spline flow is the flow that zuko makes of the same conditioners, in float64."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from test_coupling_flows import inputs, random_flow
from torch import Tensor, nn
from torch.distributions import AffineTransform, Independent, Normal
from zuko.distributions import NormalizingFlow
from zuko.transforms import (
    ComposedTransform,
    CouplingTransform,
    DependentTransform,
    MonotonicRQSTransform,
)

from parrot_models.flows.coupling import CouplingFlow, RealNVP
from parrot_models.flows.spline import MIN_SLOPE, SplineCoupling, SplineFlow


def elementwise_of_zuko(coupling: SplineCoupling, term: Tensor, kept: Tensor) -> Any:
    """Zuko's transform of the moved half, toward the data."""
    x = term + kept @ coupling.kept_weight
    for layer in coupling.layers:
        x = layer(x.relu())
    size, num = coupling.moved_dim, coupling.num_bins
    shift, scale = x[:, :size], coupling.norm_log_scale + 1.5 * x[:, size : 2 * size].tanh()
    knots = x[:, 2 * size :].reshape(len(x), size, 3 * num - 1)
    spline = MonotonicRQSTransform(
        knots[..., :num],
        knots[..., num : 2 * num],
        knots[..., 2 * num :],
        bound=coupling.bound,
        slope=MIN_SLOPE,
    )
    both = ComposedTransform(spline, AffineTransform(shift, scale.exp()))
    return DependentTransform(both, 1)


def zuko_flow(flow: SplineFlow, context: Tensor) -> NormalizingFlow:
    """p(a | s) as zuko has it: from the data to the base."""
    norm = flow.data_norm
    normalise = AffineTransform(norm.shift, norm.log_scale.exp(), event_dim=1).inv
    terms = torch.addmm(flow.context_bias, context, flow.context_weight)
    layers = []
    for i, (coupling, term) in enumerate(
        zip(flow.couplings, terms.chunk(len(flow.couplings), -1), strict=True)
    ):
        is_kept = torch.arange(flow.dim) % 2 == i % 2
        layers.append(
            CouplingTransform(
                lambda kept, c=coupling, t=term: elementwise_of_zuko(c, t, kept).inv, is_kept
            )
        )
    base = Independent(Normal(torch.zeros_like(norm.shift), torch.ones_like(norm.shift)), 1)
    return NormalizingFlow(ComposedTransform(normalise, *reversed(layers)), base)


@pytest.mark.parametrize(("dim", "num_layers"), [(7, 4), (7, 3), (2, 2), (14, 3)])
def test_density_and_latents_are_those_of_zuko(dim, num_layers) -> None:
    flow = random_flow("spline", dim, num_layers)
    actions, context = inputs(30, dim)
    theirs = zuko_flow(flow, context)
    torch.testing.assert_close(flow.log_prob(actions, context), theirs.log_prob(actions))
    torch.testing.assert_close(flow.inverse(actions, context)[0], theirs.transform(actions))


def test_without_its_knots_it_would_be_another_flow() -> None:
    flow = random_flow("spline", 7)
    actions, context = inputs(30, 7)
    before = flow.log_prob(actions, context)
    for coupling in flow.couplings:
        last = coupling.layers[-1]
        for parameter in (last.weight, last.bias):
            nn.init.zeros_(parameter[2 * coupling.moved_dim :])
    assert (flow.log_prob(actions, context) - before).abs().mean() > 0.1


def test_tails_are_those_of_the_affine_map() -> None:
    coupling = SplineCoupling(3, 4, [16], max_log_scale=1.5, num_bins=5, bound=3.0).double()
    for parameter in coupling.parameters():
        nn.init.normal_(parameter)
    kept, _ = inputs(20, 3)
    term = torch.zeros(20, 16, dtype=torch.float64)
    shift, log_scale = coupling.conditioner(kept, term)
    for outside in (-3.0, -7.5, 3.0, 40.0):
        moved = torch.full((20, 4), outside, dtype=torch.float64)
        found, _ = coupling(kept, moved, term)
        torch.testing.assert_close(found, moved * log_scale.exp() + shift)
    inside = torch.full((20, 4), 1.0, dtype=torch.float64)
    found, _ = coupling(kept, inside, term)
    assert (found - (inside * log_scale.exp() + shift)).abs().mean() > 0.1


@pytest.mark.parametrize(("hidden", "num_bins"), [([], 8), ([8], 1)])
def test_shapes_that_make_no_spline_are_refused(hidden, num_bins) -> None:
    with pytest.raises(ValueError, match="a flow needs"):
        SplineFlow(7, 5, 4, hidden, 1.5, num_bins, 3.0)


def moved_flow(kind: str, std: float, context_dim: int, hidden: list[int]) -> CouplingFlow:
    """A fresh flow in float32 whose every parameter was moved by N(0, std^2)."""
    torch.manual_seed(0)
    shape = (7, context_dim, 4, hidden, 1.5)
    flow = SplineFlow(*shape, 8, 4.0) if kind == "spline" else RealNVP(*shape)
    for parameter in flow.parameters():
        parameter.data += std * torch.randn_like(parameter)
    return flow.requires_grad_(False)


def latents_as_far_as(reach: float, context_dim: int) -> tuple[Tensor, Tensor]:
    """Latents whose largest dimension is just so far out, in 4,096 contexts."""
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(4096, 7, generator=generator)
    context = torch.randn(4096, context_dim, generator=generator)
    return reach * z / z.abs().amax(1, keepdim=True), context


SIZES = pytest.mark.parametrize(("context_dim", "hidden"), [(5, [16, 16]), (128, [64])])
REACHES = pytest.mark.parametrize("reach", [1.0, 4.0])


@SIZES
@REACHES
def test_float32_finds_latents_again(context_dim, hidden, reach) -> None:
    flow = moved_flow("spline", 0.1, context_dim, hidden)
    z, context = latents_as_far_as(reach, context_dim)
    found, log_det = flow.inverse(flow(z, context)[0], context)
    assert log_det.isfinite().all()
    torch.testing.assert_close(found, z, rtol=0, atol=1e-3)


@SIZES
@REACHES
def test_wild_splines_are_undone_as_far_as_float32_can_write_an_action(
    context_dim, hidden, reach
) -> None:
    """Moved by N(0, 0.3^2) a flow stretches by thousands: actions return, latents in float64."""
    flow = moved_flow("spline", 0.3, context_dim, hidden)
    z, context = latents_as_far_as(reach, context_dim)
    actions, _ = flow(z, context)
    found, log_det = flow.inverse(actions, context)
    assert found.isfinite().all()
    assert log_det.isfinite().all()
    torch.testing.assert_close(flow(found, context)[0], actions, rtol=1e-3, atol=1e-3)
    exact, z, context = flow.double(), z.double(), context.double()
    found, _ = exact.inverse(exact(z, context)[0], context)
    torch.testing.assert_close(found, z, rtol=0, atol=1e-3)
