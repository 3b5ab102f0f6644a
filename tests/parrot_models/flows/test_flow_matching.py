"""Laws of a matched flow: its density, its one step, and what a little training makes of both."""

from __future__ import annotations

import math

import pytest
import torch
from test_coupling_flows import NOISE, two_modes
from torch import Tensor, nn
from zuko.transforms import FreeFormJacobianTransform

from parrot_models.flows.matching import FlowMatching

CONTEXT_DIM = 5


def random_flow(dim: int = 7, num_steps: int = 8) -> FlowMatching:
    """A flow whose every parameter is random, those of the two networks apart."""
    torch.manual_seed(dim)
    flow = FlowMatching(dim, CONTEXT_DIM, [16, 16], num_steps).double()
    for parameter in flow.parameters():
        nn.init.normal_(parameter, std=0.3)
    return flow.requires_grad_(False)


def inputs(batch: int, dim: int = 7) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(batch, dim, generator=generator, dtype=torch.float64)
    return x, torch.randn(batch, CONTEXT_DIM, generator=generator, dtype=torch.float64)


def test_the_divergence_is_the_trace_of_the_derivative() -> None:
    velocity = random_flow().velocity
    x, context = inputs(5)
    time = torch.linspace(0.0, 1.0, 5, dtype=torch.float64)[:, None]
    term = velocity.context_term(context)
    value, divergence = velocity.with_divergence(x, time, term)
    torch.testing.assert_close(value, velocity(x, time, term))
    for i in range(5):
        jacobian = torch.autograd.functional.jacobian(
            lambda y, i=i: velocity(y[None], time[i : i + 1], term[i : i + 1])[0], x[i]
        )
        torch.testing.assert_close(jacobian.trace(), divergence[i])
        assert divergence[i].abs() > 0.01


@pytest.mark.parametrize("dim", [1, 2, 4, 7, 14])
def test_inverse_undoes_forward_the_better_the_finer_the_steps(dim) -> None:
    z, context = inputs(20, dim)
    errors = []
    for num_steps in (4, 16):
        flow = random_flow(dim, num_steps)
        actions, log_det = flow(z, context)
        recovered, back = flow.inverse(actions, context)
        errors.append(float((recovered - z).abs().max() + (back + log_det).abs().max()))
    assert errors[1] < errors[0] / 8
    assert errors[1] < 1e-3
    assert log_det.std() > 0.1


@pytest.mark.parametrize("dim", [1, 2, 4, 7, 14])
def test_log_prob_is_that_of_zukos_continuous_flow(dim) -> None:
    flow = random_flow(dim, num_steps=50)
    actions, context = inputs(6, dim)
    term = flow.velocity.context_term(context)
    toward_the_base = FreeFormJacobianTransform(
        lambda time, x: flow.velocity(x, time.expand(len(x), 1), term),
        t0=1.0, t1=0.0, atol=1e-9, rtol=1e-9, exact=True,
    )  # fmt: skip
    z, log_det = toward_the_base.call_and_ladj(flow.data_norm.inverse(actions))
    base = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    truth = base + log_det - flow.data_norm.log_scale.sum()
    torch.testing.assert_close(flow.log_prob(actions, context), truth, rtol=0, atol=1e-4)


def test_the_density_integrates_to_one() -> None:
    flow = random_flow(2)
    _, context = inputs(2, 2)
    axis = torch.linspace(-8.0, 8.0, 101, dtype=torch.float64)
    grid = torch.cartesian_prod(axis, axis)
    for row in context:
        density = flow.log_prob(grid, row.expand(len(grid), -1)).exp()
        assert density.sum().item() * (axis[1] - axis[0]).item() ** 2 == pytest.approx(1, abs=1e-2)


def test_rows_do_not_touch_each_other_and_context_matters() -> None:
    flow = random_flow()
    x, context = inputs(6)
    for function in (flow.log_prob, flow.decode, flow.integrate):
        together = function(x, context)
        torch.testing.assert_close(function(x[2:3], context[2:3]), together[2:3])
        assert (function(x, context.flip(0)) - together).abs().mean() > 0.01


def test_samples_are_the_generators_and_take_the_one_step() -> None:
    flow = random_flow()
    _, context = inputs(6)
    drawn = flow.sample(context, torch.Generator().manual_seed(3))
    assert torch.equal(drawn, flow.sample(context, torch.Generator().manual_seed(3)))
    z = torch.randn(6, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert torch.equal(drawn, flow.decode(z, context))
    assert (drawn - flow.integrate(z, context)).abs().mean() > 0.1  # its own, random network


def test_a_fresh_flow_is_the_base_normalised_to_the_data() -> None:
    flow = FlowMatching(7, CONTEXT_DIM, [16, 16], 8).double()
    noise, context = inputs(200)
    actions = 0.3 * noise - 2.0
    flow.init_from_data(actions, context)
    z, _ = flow.inverse(actions, context)
    torch.testing.assert_close(z.mean(0), torch.zeros(7, dtype=torch.float64), rtol=0, atol=1e-9)
    torch.testing.assert_close(
        z.std(0, correction=0), torch.ones(7, dtype=torch.float64), rtol=0, atol=1e-9
    )
    torch.testing.assert_close(flow.decode(z, context), actions)


def test_losses_follow_from_their_generators_and_teach_only_what_they_should() -> None:
    flow = random_flow().requires_grad_(True)
    actions, context = inputs(8)
    losses = (
        lambda seed: flow.loss(actions, context, 2, torch.Generator().manual_seed(seed)),
        lambda seed: flow.distillation_loss(context, 2, torch.Generator().manual_seed(seed)),
    )
    for loss, taught in zip(losses, (flow.velocity, flow.one_step), strict=True):
        assert torch.equal(loss(1), loss(1))
        assert not torch.equal(loss(1), loss(2))
        flow.zero_grad()
        loss(1).backward()
        touched = {p for p in flow.parameters() if p.grad is not None}
        assert touched == set(taught.parameters())


@pytest.mark.parametrize(("hidden", "num_steps"), [([], 8), ([8], 0)])
def test_shapes_that_make_no_flow_are_refused(hidden, num_steps) -> None:
    with pytest.raises(ValueError, match="a flow needs"):
        FlowMatching(7, CONTEXT_DIM, hidden, num_steps)


def descend(weights, loss_at, steps: int) -> None:
    optimizer = torch.optim.Adam(weights, 3e-3)
    for _ in range(steps):
        optimizer.zero_grad()
        loss_at().backward()
        optimizer.step()


@pytest.fixture(scope="module")
def trained() -> FlowMatching:
    """Fitted to two modes that no Gaussian fits, its one step not yet taught."""
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(0)
    flow = FlowMatching(2, 1, [64, 64], 8).double()
    flow.init_from_data(*two_modes(512, generator)[:2])

    def loss() -> Tensor:
        actions, context, _ = two_modes(256, generator)
        return flow.loss(actions, context, 2, generator)

    descend(flow.velocity.parameters(), loss, 800)
    flow.begin_distillation()
    return flow


def test_a_trained_flow_fits_two_modes_that_no_gaussian_can(trained) -> None:
    actions, context, mode = two_modes(1000, torch.Generator().manual_seed(1))
    with torch.no_grad():
        found = trained.log_prob(actions, context).mean().item()
    covariance = NOISE**2 * torch.eye(2) + mode[:, :, None] * mode[:, None, :]
    best_gaussian = -0.5 * torch.logdet(2.0 * math.pi * math.e * covariance).mean().item()
    truth = -math.log(2.0) - math.log(2.0 * math.pi * math.e * NOISE**2)
    assert best_gaussian + 0.4 < found < truth + 0.1


def test_distillation_brings_the_one_step_to_where_the_flow_arrives(trained) -> None:
    generator = torch.Generator().manual_seed(2)
    _, context, _ = two_modes(1000, generator)
    z = torch.randn(1000, 2, generator=generator, dtype=torch.float64)

    def error() -> float:
        with torch.no_grad():
            apart = trained.decode(z, context) - trained.integrate(z, context)
        return float(apart.square().mean().sqrt())

    before = error()
    weights_of_the_flow = [p.clone() for p in trained.velocity.parameters()]
    descend(
        trained.one_step.parameters(),
        lambda: trained.distillation_loss(two_modes(256, generator)[1], 2, generator),
        400,
    )
    assert error() < before / 3
    for now, then in zip(trained.velocity.parameters(), weights_of_the_flow, strict=True):
        assert torch.equal(now, then)
