"""q(b, z | trajectory): where the options of a demonstration begin, and what each of them is.

The variational network of Shankar and Gupta (2020), see `options`. It is for training and for
encoding demonstrations: an agent never calls it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from parrot_data.worlds.tabletop.env import ACTION_DIM, PROPRIOCEPTION_DIM

LOG_STD_RANGE = (-5.0, 1.0)  # of a latent
SMALLEST_STD = 1e-3  # of an input, before it is divided by: a value may never change


@dataclass(frozen=True, eq=False)
class Segmentation:
    """The options of B episodes of T steps.

    Attributes:
        boundaries: (B, T), 1 where an option begins and 0 elsewhere; 1 at step 0. Its gradient is
            that of a relaxed sample.
        probabilities: (B, T), q(b_t = 1 | trajectory); 1 at step 0.
        latents: (B, T, L), z_t: the same from one boundary to the next.
        latent_divergences: (B, T), KL of each option's z from N(0, I) at its boundary, else 0.
    """

    boundaries: Tensor
    probabilities: Tensor
    latents: Tensor
    latent_divergences: Tensor

    def rate_divergence(self, rate: float) -> Tensor:
        """KL of a coin of the mean probability, over all steps but 0, from one of this chance, ().

        Of the mean and not of each step: q may then be sure of where an option begins, as long as
        they begin as often as they should.
        """
        p = self.probabilities[:, 1:].mean().clamp(1e-6, 1 - 1e-6)
        return p * (p / rate).log() + (1 - p) * ((1 - p) / (1 - rate)).log()


class OptionPosterior(nn.Module):
    """A bidirectional GRU over all of a trajectory's proprioception and actions."""

    def __init__(self, latent_dim: int, width: int, temperature: float) -> None:
        """Build the network.

        Args:
            latent_dim: width of z.
            width: hidden units of the GRU, in each direction.
            temperature: of the relaxed boundaries.
        """
        super().__init__()
        self.temperature = temperature
        inputs = PROPRIOCEPTION_DIM + ACTION_DIM
        self.gru = nn.GRU(inputs, width, num_layers=2, batch_first=True, bidirectional=True)
        self.boundary_head = nn.Linear(2 * width, 1)
        self.latent_head = nn.Linear(2 * width, 2 * latent_dim)
        self.mean: Tensor
        self.std: Tensor
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("std", torch.ones(inputs))

    def init_from_data(self, proprioception: Tensor, actions: Tensor) -> None:
        """Take mean and deviation of inputs (N, 8) and (N, 7), to which they are then scaled."""
        values = torch.cat([proprioception, actions], -1)
        self.mean.copy_(values.mean(0))
        self.std.copy_(values.std(0).clamp_min(SMALLEST_STD))

    def forward(
        self, proprioception: Tensor, actions: Tensor, generator: torch.Generator | None
    ) -> Segmentation:
        """Encode whole episodes.

        Args:
            proprioception: (B, T, 8).
            actions: (B, T, 7).
            generator: draws boundaries and latents; None takes the likelier boundary and the mean.
        """
        hidden, _ = self.gru((torch.cat([proprioception, actions], -1) - self.mean) / self.std)
        logits = self.boundary_head(hidden).squeeze(-1)
        boundaries = _first_is_one(self._boundaries(logits, generator))
        mean, std = self.gaussian(hidden)
        proposed = mean
        if generator is not None:
            proposed = mean + std * torch.randn(mean.shape, generator=generator)
        divergence = 0.5 * (mean.square() + std.square() - 1 - 2 * std.log()).sum(-1)
        return Segmentation(
            boundaries=boundaries,
            probabilities=_first_is_one(torch.sigmoid(logits)),
            latents=_held(proposed, boundaries),
            latent_divergences=boundaries * divergence,
        )

    def gaussian(self, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (B, T, L) of an option that begins at a step, of (B, T, 2 * width)."""
        mean, raw = self.latent_head(hidden).chunk(2, -1)
        low, high = LOG_STD_RANGE
        return mean, (low + 0.5 * (high - low) * (torch.tanh(raw) + 1)).exp()

    def _boundaries(self, logits: Tensor, generator: torch.Generator | None) -> Tensor:
        """Zeros and ones with the gradient of a binary concrete variable (straight through)."""
        if generator is None:
            return (logits > 0).to(logits)
        chance = torch.rand(logits.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid((logits + torch.logit(chance)) / self.temperature)
        return (soft > 0.5).to(soft) + (soft - soft.detach())  # the second sum is exactly 0


def _first_is_one(values: Tensor) -> Tensor:
    return torch.cat([torch.ones_like(values[:, :1]), values[:, 1:]], 1)


def _held(proposed: Tensor, boundaries: Tensor) -> Tensor:
    """z_t = b_t * proposed_t + (1 - b_t) * z_{t-1}, (B, T, L)."""
    held = [proposed[:, 0]]
    for new, begins in zip(proposed.unbind(1)[1:], boundaries.unbind(1)[1:], strict=True):
        b = begins[:, None]
        held.append(b * new + (1 - b) * held[-1])
    return torch.stack(held, 1)
