"""Ordinary differential equations dx/dt = v(x, t) in few steps of equal length.

Why no library: what a prior needs is the midpoint rule, two lines, at a cost known beforehand and
row by row. `torchdiffeq` has that rule too but would bring scipy along; `zuko.utils.odeint` is
adaptive, its steps chosen for a batch as a whole, so that rows would depend on each other and the
hardest would set the cost of all. A test holds ours against zuko's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]
WithDivergence = Callable[[Tensor, float], tuple[Tensor, Tensor]]


def integrate(velocity: Velocity, x: Tensor, start: float, stop: float, num_steps: int) -> Tensor:
    """Where rows x (B, dim) are at time `stop`, by the midpoint rule (second order)."""
    for time, step in _steps(start, stop, num_steps):
        middle = x + 0.5 * step * velocity(x, time)
        x = x + step * velocity(middle, time + 0.5 * step)
    return x


def integrate_with_log_det(
    velocity: Velocity,
    with_divergence: WithDivergence,
    x: Tensor,
    start: float,
    stop: float,
    num_steps: int,
) -> tuple[Tensor, Tensor]:
    """As `integrate`, and log |det dx(stop) / dx(start)|, (B,).

    It is the integral of the divergence of v (Chen et al. 2018, equation 8), with the exact trace,
    not an estimate of it, taken at every step's midpoint: of second order too.

    Args:
        velocity: v(x, t), (B, dim).
        with_divergence: the same, and the divergence, (B,).
        x: rows (B, dim) at time `start`.
        start: time of x.
        stop: time wanted, which may be the earlier one.
        num_steps: steps of equal length.
    """
    log_det = x.new_zeros(len(x))
    for time, step in _steps(start, stop, num_steps):
        middle = x + 0.5 * step * velocity(x, time)
        change, divergence = with_divergence(middle, time + 0.5 * step)
        x = x + step * change
        log_det = log_det + step * divergence
    return x, log_det


def _steps(start: float, stop: float, num_steps: int) -> Iterator[tuple[float, float]]:
    step = (stop - start) / num_steps
    return ((start + i * step, step) for i in range(num_steps))
