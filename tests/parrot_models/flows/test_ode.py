"""The solver against differential equations whose solution is known, and against zuko's."""

from __future__ import annotations

import torch
from torch import Tensor
from zuko.transforms import FreeFormJacobianTransform

from parrot_models.flows.matching import Velocity, WithDivergence, integrate, integrate_with_log_det

MEAN = torch.tensor([0.5, -1.0, 2.0], dtype=torch.float64)
STD = torch.tensor([0.1, 0.5, 2.0], dtype=torch.float64)


def to_a_gaussian(x: Tensor, time: float) -> Tensor:
    """The velocity that carries N(0, I) to N(MEAN, STD^2) along straight conditional paths.

    Given z ~ N(0, 1) and a ~ N(m, s^2), apart, E[a - z | (1 - t) z + t a = x] is a regression: its
    slope is cov / var, with cov = t s^2 - (1 - t) and var = (1 - t)^2 + t^2 s^2.
    """
    slope = (time * STD**2 - (1 - time)) / ((1 - time) ** 2 + (time * STD) ** 2)
    return MEAN + slope * (x - time * MEAN)


def bent(x: Tensor, time: float) -> Tensor:
    """A velocity that is neither linear nor the same in every direction."""
    mixed = x @ torch.tensor([[0.3, -1.0, 0.2], [0.8, 0.1, -0.5], [-0.4, 0.9, 0.6]]).to(x)
    return torch.sin(mixed + time) + 0.3 * x.sin()


def diverging(velocity: Velocity) -> WithDivergence:
    """A velocity with its divergence, by autograd."""

    def both(x: Tensor, time: float) -> tuple[Tensor, Tensor]:
        jacobian = torch.autograd.functional.jacobian(lambda y: velocity(y, time).sum(0), x)
        return velocity(x, time), torch.einsum("ibi->b", jacobian)

    return both


def points(count: int = 12) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(count, 3, generator=generator, dtype=torch.float64)


def error_at(num_steps: int) -> tuple[float, float]:
    """Errors of the end and of the log_det, where the truth is x = m + s z."""
    z = points()
    end, log_det = integrate_with_log_det(
        to_a_gaussian, diverging(to_a_gaussian), z, 0.0, 1.0, num_steps
    )
    torch.testing.assert_close(end, integrate(to_a_gaussian, z, 0.0, 1.0, num_steps))
    return (
        float((end - (MEAN + STD * z)).abs().max()),
        float((log_det - STD.log().sum()).abs().max()),
    )


def test_the_density_is_the_gaussians_that_the_velocity_leads_to() -> None:
    actions = MEAN + STD * points()
    z, log_det = integrate_with_log_det(
        to_a_gaussian, diverging(to_a_gaussian), actions, 1.0, 0.0, 400
    )
    base = torch.distributions.Normal(0.0, 1.0).log_prob(z).sum(-1)
    truth = torch.distributions.Normal(MEAN, STD).log_prob(actions).sum(-1)
    torch.testing.assert_close(base + log_det, truth, rtol=0, atol=1e-3)


def test_halving_the_steps_quarters_the_errors_at_least() -> None:
    """For this velocity the end happens to be better than of second order."""
    coarse, fine = error_at(100), error_at(200)
    assert all(before / after > 3.5 for before, after in zip(coarse, fine, strict=True))
    assert coarse[1] < 1e-3


def test_backward_undoes_forward() -> None:
    z = points()
    end, there = integrate_with_log_det(bent, diverging(bent), z, 0.0, 1.0, 300)
    again, back = integrate_with_log_det(bent, diverging(bent), end, 1.0, 0.0, 300)
    torch.testing.assert_close(again, z, rtol=0, atol=1e-4)
    torch.testing.assert_close(back, -there, rtol=0, atol=1e-4)
    assert there.std() > 0.1


def test_it_agrees_with_the_adaptive_solver_of_zuko() -> None:
    z = points()
    theirs = FreeFormJacobianTransform(
        lambda time, x: bent(x, time), atol=1e-10, rtol=1e-10, exact=True
    )
    end, log_det = theirs.call_and_ladj(z)
    ours, our_log_det = integrate_with_log_det(bent, diverging(bent), z, 0.0, 1.0, 300)
    torch.testing.assert_close(ours, end, rtol=0, atol=1e-4)
    torch.testing.assert_close(our_log_det, log_det, rtol=0, atol=1e-4)


def test_the_log_det_is_that_of_the_jacobian() -> None:
    z = points(4)
    _, log_det = integrate_with_log_det(bent, diverging(bent), z, 0.0, 1.0, 300)
    for row, found in zip(z, log_det, strict=True):
        jacobian = torch.autograd.functional.jacobian(
            lambda x: integrate(bent, x[None], 0.0, 1.0, 300)[0], row
        )
        torch.testing.assert_close(
            torch.linalg.slogdet(jacobian).logabsdet, found, rtol=0, atol=1e-4
        )
