"""A conditional flow in continuous time, trained by flow matching, acting in one step."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from parrot_models.flows.act_norm import ActNorm
from parrot_models.flows.ode import integrate, integrate_with_log_det
from parrot_models.flows.velocity import VelocityField

LIKELIHOOD_STEPS_FACTOR = 4  # a density wants finer steps than a sample
WIDEST = 1.5  # standard deviations: an agent's latents lie further out than the base's


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
