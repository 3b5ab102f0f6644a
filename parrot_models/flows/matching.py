"""A conditional flow in continuous time, trained by flow matching, acting in one step.

Why no library solves its differential equation dx/dt = v(x, t): what a prior needs is the midpoint
rule, two lines, at a cost known beforehand and row by row. `torchdiffeq` has that rule too but
would bring scipy along; `zuko.utils.odeint` is adaptive, its steps chosen for a batch as a whole,
so that rows would depend on each other and the hardest would set the cost of all. A test holds ours
against zuko's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from parrot_models.flows.coupling import ActNorm

LIKELIHOOD_STEPS_FACTOR = 4  # a density wants finer steps than a sample
WIDEST = 1.5  # standard deviations: an agent's latents lie further out than the base's
NUM_FREQUENCIES = 4  # of time: half a wave and its first overtones

Velocity = Callable[[Tensor, float], Tensor]
WithDivergence = Callable[[Tensor, float], tuple[Tensor, Tensor]]


class FlowMatching(nn.Module):
    """z ~ N(0, I) carried to actions a by dx/dt = v(x, t; s) from t = 0 to t = 1, both (B, dim).

    The velocity is fitted by conditional flow matching (Lipman et al. 2023, equation 23) along
    straight lines from z to the normalised action, their optimal transport path with sigma_min = 0,
    which is a rectified flow (Liu et al. 2023, equation 1). Times are drawn uniformly; every
    context is used for several pairs (z, t), because encoding it costs more than the network.

    There are three maps from z to a. `forward` integrates finely and has a density: it is exactly
    as invertible as the solver is exact. `integrate` takes few steps. `decode` is one call of a
    second network of the same shape that learned to jump where `integrate` arrives: z + u(z; s)
    (Liu et al. 2023, "distillation"; Park et al. 2025, flow Q-learning, whose one-step policy
    learns from Euler steps of the flow; we take midpoint steps).

    What PARROT claims of its prior and `decode` does not keep: it is not invertible, so that two z
    may mean the same action, an action need not be reachable, and the density of its actions is
    unknown. `log_prob` and `inverse` are of the integrated flow, which it only imitates; how well,
    `distillation_error` tells. z is still drawn from N(0, I), and whatever an agent chooses still
    looks like the data as far as the imitation goes.

    Args:
        dim: number of action dimensions.
        context_dim: width of the context.
        hidden: widths of the hidden layers of both networks, at least one.
        num_steps: midpoint steps of `integrate`; a density takes four times as many.

    Raises:
        ValueError: hidden is empty or num_steps is less than 1.
    """

    def __init__(self, dim: int, context_dim: int, hidden: Sequence[int], num_steps: int) -> None:
        super().__init__()
        if not hidden or num_steps < 1:
            raise ValueError(
                f"a flow needs hidden layers and num_steps >= 1, got {list(hidden)} and {num_steps}"
            )
        self.dim = dim
        self.context_dim = context_dim
        self.num_steps = num_steps
        self.velocity = VelocityField(dim, context_dim, hidden)
        self.one_step = VelocityField(dim, context_dim, hidden)
        self.data_norm = ActNorm(dim)

    def loss(
        self, actions: Tensor, context: Tensor, draws: int, generator: torch.Generator
    ) -> Tensor:
        """Mean squared error of the velocity, in normalised actions, over `draws` pairs a row."""
        target = self.data_norm.inverse(actions).detach().repeat(draws, 1)
        z = _normal(target, generator)
        time = torch.rand(len(z), 1, generator=generator, dtype=z.dtype, device=z.device)
        term = self.velocity.context_term(context).repeat(draws, 1)
        velocity = self.velocity(torch.lerp(z, target, time), time, term)
        return functional.mse_loss(velocity, target - z)

    def distillation_loss(self, context: Tensor, draws: int, generator: torch.Generator) -> Tensor:
        """Mean squared distance of the one step from `integrate`, in normalised actions.

        Half of the latents are drawn from the base, half more widely, as an agent may choose them.
        """
        context = context.repeat(draws, 1)
        z = _normal(context.new_empty(len(context), self.dim), generator)
        z[::2] *= WIDEST
        with torch.no_grad():
            target = self._integrate(z, context)
        return functional.mse_loss(self._jump(z, context), target)

    @torch.no_grad()
    def begin_distillation(self) -> None:
        """Let the one step begin as the flow's velocity at t = 0 (Liu et al. 2023)."""
        self.one_step.load_state_dict(self.velocity.state_dict())

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Map z (B, dim) and context (B, context_dim) to actions (B, dim) by the one step."""
        return self.data_norm.forward(self._jump(z, context))

    def integrate(self, z: Tensor, context: Tensor) -> Tensor:
        """Map z (B, dim) to actions (B, dim) in few steps of the flow: what `decode` imitates."""
        return self.data_norm.forward(self._integrate(z, context))

    def forward(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map z (B, dim) to actions (B, dim) finely; log_det (B,) is log |det da / dz|."""
        normal, log_det = self._integrate_finely(z, context, 0.0, 1.0)
        return self.data_norm.forward(normal), log_det + self.data_norm.log_scale.sum()

    def inverse(self, actions: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Map actions (B, dim) back to z (B, dim) finely; log_det (B,) is log |det dz / da|."""
        normal = self.data_norm.inverse(actions)
        z, log_det = self._integrate_finely(normal, context, 1.0, 0.0)
        return z, log_det - self.data_norm.log_scale.sum()

    def log_prob(self, actions: Tensor, context: Tensor) -> Tensor:
        """Log-density of actions (B, dim) under the integrated flow: (B,), in nats, summed."""
        z, log_det = self.inverse(actions, context)
        return log_det - 0.5 * z.square().sum(-1) - 0.5 * self.dim * math.log(2.0 * math.pi)

    def sample(self, context: Tensor, generator: torch.Generator) -> Tensor:
        """Draw one action for each context by the one step: (B, context_dim) -> (B, dim)."""
        return self.decode(_normal(context.new_empty(len(context), self.dim), generator), context)

    @torch.no_grad()
    def init_from_data(self, actions: Tensor, context: Tensor) -> None:
        """Normalise: these actions get zero mean and unit deviation; the context is not read."""
        del context
        self.data_norm.init_from_data(actions)

    def _integrate(self, z: Tensor, context: Tensor) -> Tensor:
        """From z to normalised actions in few steps."""
        term = self.velocity.context_term(context)
        return integrate(
            lambda x, time: self.velocity.forward(x, _times(x, time), term),
            z, 0.0, 1.0, self.num_steps,
        )  # fmt: skip

    def _integrate_finely(
        self, x: Tensor, context: Tensor, start: float, stop: float
    ) -> tuple[Tensor, Tensor]:
        """Between z and normalised actions, either way, with the log_det of that way."""
        term = self.velocity.context_term(context)
        return integrate_with_log_det(
            lambda x, time: self.velocity.forward(x, _times(x, time), term),
            lambda x, time: self.velocity.with_divergence(x, _times(x, time), term),
            x, start, stop, LIKELIHOOD_STEPS_FACTOR * self.num_steps,
        )  # fmt: skip

    def _jump(self, z: Tensor, context: Tensor) -> Tensor:
        start = z.new_zeros(len(z), 1)
        change: Tensor = self.one_step(z, start, self.one_step.context_term(context))
        return z + change


def _normal(like: Tensor, generator: torch.Generator) -> Tensor:
    return torch.randn(like.shape, generator=generator, dtype=like.dtype, device=like.device)


def _times(x: Tensor, time: float) -> Tensor:
    return x.new_full((len(x), 1), time)


class VelocityField(nn.Module):
    """A fully connected network on (x, t, context), zero before it is trained.

    Its first layer splits in two: the context's part is computed once for all steps of an
    integration (`context_term`). SiLU and not ReLU, because an integral of its divergence needs a
    derivative without jumps.

    Args:
        dim: width of x.
        context_dim: width of the context.
        hidden: widths of the hidden layers, at least one.
    """

    def __init__(self, dim: int, context_dim: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.context_layer = nn.Linear(context_dim, hidden[0])
        self.state_layer = nn.Linear(dim + 1 + 2 * NUM_FREQUENCIES, hidden[0], bias=False)
        self.layers = nn.ModuleList(
            nn.Linear(width, next_width) for width, next_width in pairwise([*hidden, dim])
        )
        last = cast(nn.Linear, self.layers[-1])
        last.weight.data.zero_()
        last.bias.data.zero_()
        self.frequencies: Tensor
        frequencies = math.pi * torch.arange(1, NUM_FREQUENCIES + 1)
        self.register_buffer("frequencies", frequencies, persistent=False)

    def context_term(self, context: Tensor) -> Tensor:
        """The context's part of the first layer, (B, hidden[0])."""
        term: Tensor = self.context_layer(context)
        return term

    def forward(self, x: Tensor, time: Tensor, context_term: Tensor) -> Tensor:
        """Velocity (B, dim) of x (B, dim) at times (B, 1) from 0, the base, to 1, the data."""
        hidden = self._first(x, time, context_term)
        for layer in self._layers():
            hidden = functional.linear(functional.silu(hidden), layer.weight, layer.bias)
        return hidden

    def with_divergence(
        self, x: Tensor, time: Tensor, context_term: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`forward`, and the trace of its derivative by x, (B,).

        The derivatives by all dimensions go forward through the layers together: half the work of
        going backward once a dimension, and it needs no recorded graph.
        """
        hidden = self._first(x, time, context_term)
        derivatives = self.state_layer.weight[:, : x.shape[-1]].T[:, None]  # (dim, 1, width)
        for layer in self._layers():
            gate = hidden.sigmoid()
            slope = gate * (1.0 + hidden * (1.0 - gate))  # of silu
            hidden = functional.linear(hidden * gate, layer.weight, layer.bias)
            derivatives = functional.linear(derivatives * slope, layer.weight)
        return hidden, derivatives.diagonal(dim1=0, dim2=2).sum(-1)

    def _first(self, x: Tensor, time: Tensor, context_term: Tensor) -> Tensor:
        angles = time * self.frequencies
        state = torch.cat((x, time, angles.cos(), angles.sin()), -1)
        return functional.linear(state, self.state_layer.weight) + context_term

    def _layers(self) -> Iterable[nn.Linear]:
        return cast("Iterable[nn.Linear]", self.layers)


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
