"""Ordinary differential equations dx/dt = v(x, t) in few steps of equal length.

Why no library: what a prior needs is the midpoint rule, two lines, at a cost known beforehand and
row by row. `torchdiffeq` has that rule too but would bring scipy along; `zuko.utils.odeint` is
adaptive, its steps chosen for a batch as a whole, so that rows would depend on each other and the
hardest would set the cost of all. A test holds ours against zuko's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import cast

import torch
from torch import Tensor

Velocity = Callable[[Tensor, float], Tensor]


def integrate(velocity: Velocity, x: Tensor, start: float, stop: float, num_steps: int) -> Tensor:
    """Where rows x (B, dim) are at time `stop`, by the midpoint rule (second order)."""
    for time, step in _steps(start, stop, num_steps):
        x = x + step * velocity(_midpoint(velocity, x, time, step), time + 0.5 * step)
    return x


def integrate_with_log_det(
    velocity: Velocity, x: Tensor, start: float, stop: float, num_steps: int
) -> tuple[Tensor, Tensor]:
    """As `integrate`, and log |det dx(stop) / dx(start)|, (B,).

    It is the integral of the divergence of v (Chen et al. 2018, equation 8), with the exact trace,
    not an estimate of it, taken at every step's midpoint: of second order too.
    """
    log_det = x.new_zeros(len(x))
    for time, step in _steps(start, stop, num_steps):
        middle = _midpoint(velocity, x, time, step)
        change, divergence = with_divergence(velocity, middle, time + 0.5 * step)
        x = x + step * change
        log_det = log_det + step * divergence
    return x, log_det


def with_divergence(velocity: Velocity, x: Tensor, time: float) -> tuple[Tensor, Tensor]:
    """v(x, t), (B, dim), and its divergence, (B,): one forward derivative a dimension."""

    def derivative(direction: Tensor) -> tuple[Tensor, Tensor]:
        rows = direction.expand_as(x)
        value, change = cast(
            "tuple[Tensor, Tensor]", torch.func.jvp(lambda y: velocity(y, time), (x,), (rows,))
        )
        return value, (change * rows).sum(-1)

    directions = torch.eye(x.shape[-1], dtype=x.dtype, device=x.device)
    value, diagonal = torch.vmap(derivative, out_dims=(None, 0))(directions)  # type: ignore[arg-type]
    return value, diagonal.sum(0)


def _midpoint(velocity: Velocity, x: Tensor, time: float, step: float) -> Tensor:
    return x + 0.5 * step * velocity(x, time)


def _steps(start: float, stop: float, num_steps: int) -> Iterator[tuple[float, float]]:
    step = (stop - start) / num_steps
    return ((start + i * step, step) for i in range(num_steps))
