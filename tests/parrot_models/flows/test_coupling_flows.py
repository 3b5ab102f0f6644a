"""The laws of flows of couplings, in float64, at random weights and not at the identity."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from parrot_models.flows.coupling import AffineCoupling, CouplingFlow, RealNVP
from parrot_models.flows.spline import SplineFlow

CONTEXT_DIM = 5
SHAPES = [
    (1, 3, [16]), (2, 3, [16, 16]), (3, 2, [8, 8, 8]), (4, 2, [16]), (7, 4, [16, 16]),
    (8, 5, [16]), (14, 2, [16]),
]  # fmt: skip
# How wide weights are drawn: five splines in a row may have slopes of 1e-3 each, whose product
# leaves float64 nothing to invert.
STD = {"affine": 0.3, "spline": 0.2}
KINDS = pytest.mark.parametrize("kind", ["affine", "spline"])


def make_flow(
    kind: str, dim: int, num_layers: int = 4, hidden: list[int] | None = None, scale: float = 1.5
) -> CouplingFlow:
    arguments = (dim, CONTEXT_DIM, num_layers, [16, 16] if hidden is None else hidden, scale)
    made = SplineFlow(*arguments, 5, 3.0) if kind == "spline" else RealNVP(*arguments)
    return made.double()


def random_flow(
    kind: str,
    dim: int,
    num_layers: int = 4,
    hidden: list[int] | None = None,
    *,
    std: float | None = None,
) -> CouplingFlow:
    """A flow whose every parameter is random: a zero last layer would hide most mistakes."""
    torch.manual_seed(dim * 10 + num_layers)
    flow = make_flow(kind, dim, num_layers, hidden)
    for parameter in flow.parameters():
        nn.init.normal_(parameter, std=std or STD[kind])
    return flow.requires_grad_(False)


def inputs(batch: int, dim: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(batch, dim, generator=generator, dtype=torch.float64)
    context = torch.randn(batch, CONTEXT_DIM, generator=generator, dtype=torch.float64)
    return x, context


@KINDS
@pytest.mark.parametrize(("dim", "num_layers", "hidden"), SHAPES)
def test_inverse_undoes_forward_and_forward_undoes_inverse(kind, dim, num_layers, hidden) -> None:
    flow = random_flow(kind, dim, num_layers, hidden)
    x, context = inputs(50, dim)
    actions, _ = flow(x, context)
    torch.testing.assert_close(flow.inverse(actions, context)[0], x, rtol=0, atol=1e-9)
    z, _ = flow.inverse(x, context)
    torch.testing.assert_close(flow(z, context)[0], x, rtol=0, atol=1e-9)
    assert (actions - x).abs().mean() > 0.1


@KINDS
@pytest.mark.parametrize(("dim", "num_layers", "hidden"), SHAPES)
def test_log_det_is_that_of_the_jacobian(kind, dim, num_layers, hidden) -> None:
    flow = random_flow(kind, dim, num_layers, hidden)
    x, context = inputs(6, dim)
    for function in (flow.forward, flow.inverse):
        log_det = function(x, context)[1]
        assert log_det.shape == (6,)
        for i in range(6):
            row, condition = x[i], context[i : i + 1]
            jacobian = torch.autograd.functional.jacobian(
                lambda y, f=function, c=condition: f(y[None], c)[0][0], row
            )
            torch.testing.assert_close(log_det[i], torch.linalg.slogdet(jacobian).logabsdet)


@KINDS
@pytest.mark.parametrize(("dim", "num_layers", "hidden"), SHAPES)
def test_log_dets_of_the_two_directions_cancel(kind, dim, num_layers, hidden) -> None:
    flow = random_flow(kind, dim, num_layers, hidden)
    z, context = inputs(50, dim)
    actions, log_det = flow(z, context)
    torch.testing.assert_close(flow.inverse(actions, context)[1], -log_det, rtol=0, atol=1e-9)
    assert log_det.std() > 0.1


@KINDS
def test_log_prob_is_the_change_of_variables(kind) -> None:
    flow = random_flow(kind, 7)
    z, context = inputs(20, 7)
    actions, log_det = flow(z, context)
    base = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    torch.testing.assert_close(flow.log_prob(actions, context), base - log_det)


@KINDS
def test_the_density_integrates_to_one(kind) -> None:
    flow = random_flow(kind, 2, std=0.2)
    _, context = inputs(3, 2)
    axis = torch.linspace(-20.0, 20.0, 801, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    for row in context:
        density = flow.log_prob(grid, row.expand(len(grid), -1)).exp()
        assert density.max() > 1e-3
        assert density.sum().item() * (axis[1] - axis[0]).item() ** 2 == pytest.approx(1, abs=1e-3)


@KINDS
def test_the_density_of_one_dimension_integrates_to_one(kind) -> None:
    flow = random_flow(kind, 1)
    _, context = inputs(5, 1)
    axis = torch.linspace(-30.0, 30.0, 60_001, dtype=torch.float64)[:, None]
    for row in context:
        density = flow.log_prob(axis, row.expand(len(axis), -1)).exp()
        assert density.sum().item() * 1e-3 == pytest.approx(1, abs=1e-3)


@KINDS
@pytest.mark.parametrize("dim", [1, 2, 3, 7, 8, 14])
def test_context_moves_every_dimension(kind, dim) -> None:
    flow = random_flow(kind, dim, num_layers=2)
    z, context = inputs(1, dim)
    jacobian = torch.autograd.functional.jacobian(lambda c: flow.decode(z, c)[0], context)
    assert (jacobian.abs().amax(dim=(1, 2)) > 1e-6).all()


@KINDS
@pytest.mark.parametrize("method", ["forward", "inverse", "decode", "log_prob", "init_from_data"])
def test_context_is_required(kind, method) -> None:
    flow = random_flow(kind, 7)
    z, _ = inputs(4, 7)
    with pytest.raises(TypeError):
        getattr(flow, method)(z)
    with pytest.raises((TypeError, AttributeError)):
        getattr(flow, method)(z, None)
    with pytest.raises(RuntimeError):
        getattr(flow, method)(z, torch.zeros(4, CONTEXT_DIM + 1, dtype=torch.float64))


@KINDS
def test_rows_do_not_touch_each_other(kind) -> None:
    flow = random_flow(kind, 7)
    actions, context = inputs(20, 7)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(1))
    permuted = flow.log_prob(actions[order], context[order])
    torch.testing.assert_close(permuted, flow.log_prob(actions, context)[order])
    torch.testing.assert_close(
        flow.log_prob(actions[:1], context[:1]), permuted[order.argmin()][None]
    )


@KINDS
def test_decode_is_forward_without_the_log_det(kind) -> None:
    flow = random_flow(kind, 7)
    z, context = inputs(20, 7)
    assert torch.equal(flow.decode(z, context), flow(z, context)[0])


@KINDS
def test_a_fresh_flow_is_the_identity(kind) -> None:
    flow = make_flow(kind, 7, 4)
    z, context = inputs(20, 7)
    actions, log_det = flow(z, context)
    torch.testing.assert_close(actions, z, rtol=0, atol=1e-14)
    torch.testing.assert_close(log_det, torch.zeros_like(log_det), rtol=0, atol=1e-13)


@KINDS
def test_samples_are_the_generators_and_their_latents_normal(kind) -> None:
    flow = random_flow(kind, 7)
    _, context = inputs(4000, 7)
    actions = flow.sample(context, torch.Generator().manual_seed(3))
    assert torch.equal(actions, flow.sample(context, torch.Generator().manual_seed(3)))
    assert not torch.equal(actions, flow.sample(context, torch.Generator().manual_seed(4)))
    z, _ = flow.inverse(actions, context)
    assert z.mean(0).abs().max() < 0.08
    assert (z.T.cov() - torch.eye(7)).abs().max() < 0.1


@pytest.mark.parametrize("num_layers", [2, 3, 4])
@pytest.mark.parametrize(
    ("kind", "is_random"),
    [("affine", False), ("affine", True), ("spline", False)],
    ids=["affine, fresh", "affine, random weights", "spline, straight"],
)
def test_init_from_data_normalises_the_latents_of_the_data(kind, num_layers, is_random) -> None:
    flow = random_flow(kind, 7, num_layers) if is_random else make_flow(kind, 7, num_layers)
    noise, context = inputs(500, 7)
    actions = 0.1 * noise + noise[:, :1] ** 2 + context[:, :1] - 3.0
    before, _ = flow.inverse(actions, context)
    assert before.mean(0).abs().max() > 0.5
    flow.init_from_data(actions, context)
    z, _ = flow.inverse(actions, context)
    torch.testing.assert_close(z.mean(0), torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-9)
    ones = torch.ones(7, dtype=torch.float64)
    torch.testing.assert_close(z.std(0, correction=0), ones, rtol=0, atol=1e-9)


@KINDS
def test_init_from_data_survives_a_constant_dimension(kind) -> None:
    flow = make_flow(kind, 7, 4)
    actions, context = inputs(100, 7)
    actions[:, 3] = 0.25
    flow.init_from_data(actions, context)
    assert flow.log_prob(actions, context).isfinite().all()
    assert flow.sample(context, torch.Generator())[:, 3].sub(0.25).abs().max() < 0.1


@KINDS
def test_normalisation_travels_with_the_state(kind) -> None:
    flow = random_flow(kind, 7)
    actions, context = inputs(100, 7)
    flow.init_from_data(3.0 * actions + 1.0, context)
    other = make_flow(kind, 7, 4)
    other.load_state_dict(copy.deepcopy(flow.state_dict()))
    assert torch.equal(other.log_prob(actions, context), flow.log_prob(actions, context))


def test_the_conditioners_log_scale_is_bounded() -> None:
    coupling = AffineCoupling(3, 4, [16], max_log_scale=1.5).double()
    for parameter in coupling.parameters():
        nn.init.normal_(parameter, std=100.0)
    nn.init.zeros_(coupling.norm_log_scale)
    kept, _ = inputs(50, 3)
    terms = torch.zeros(50, 16, dtype=torch.float64)
    _, log_scale = coupling.conditioner(kept, terms)
    assert log_scale.abs().max().item() == pytest.approx(1.5)


@pytest.mark.parametrize(("dim", "num_layers", "hidden"), [(0, 4, [8]), (7, 1, [8]), (7, 4, [])])
def test_shapes_that_leave_a_dimension_unmoved_are_refused(dim, num_layers, hidden) -> None:
    with pytest.raises(ValueError, match="a flow needs"):
        RealNVP(dim, CONTEXT_DIM, num_layers, hidden, max_log_scale=1.5)


NOISE = 0.1


def two_modes(num: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Actions around +m(s) or -m(s), a coin's choice: also returns m, (num, 2)."""
    context = torch.rand(num, 1, generator=generator, dtype=torch.float64) * 2.0 - 1.0
    mode = torch.cat((0.5 + 0.3 * context, 0.5 - 0.3 * context), -1)
    coin = torch.randint(2, (num, 1), generator=generator) * 2.0 - 1.0
    noise = torch.randn(num, 2, generator=generator, dtype=torch.float64)
    return coin * mode + NOISE * noise, context, mode


def test_a_trained_flow_fits_two_modes_that_no_gaussian_can() -> None:
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    flow = RealNVP(2, 1, 4, [32, 32], max_log_scale=2.0).double()
    flow.init_from_data(*two_modes(512, generator)[:2])
    optimizer = torch.optim.Adam(flow.parameters(), 3e-3)
    for _ in range(400):
        actions, context, _ = two_modes(256, generator)
        optimizer.zero_grad()
        (-flow.log_prob(actions, context).mean()).backward()
        optimizer.step()
    actions, context, mode = two_modes(4000, generator)
    flow_log_prob = flow.log_prob(actions, context).mean().item()
    # Given s, the mean is 0 and the covariance NOISE^2 I + m m^T: no conditional Gaussian, however
    # good its network, does better than the one with these moments.
    covariance = NOISE**2 * torch.eye(2) + mode[:, :, None] * mode[:, None, :]
    best_gaussian = -0.5 * torch.logdet(2.0 * math.pi * math.e * covariance).mean().item()
    truth = -math.log(2.0) - math.log(2.0 * math.pi * math.e * NOISE**2)
    assert best_gaussian + 0.5 < flow_log_prob < truth + 0.1
