"""Agents over latents that leave the box of z: by a prior of their own, an edit, or a wider box.

The box keeps an agent from most of what the robot can do. Where f is invertible, z without bounds
is every action; what keeps the agent near the prior then is not a wall but a divergence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray
from torch import Tensor, nn

from parrot_models.rl.networks import Actor
from parrot_models.rl.params import AgentParams
from parrot_models.rl.views import LatentView, Prior, Seeing

# Of an edit in [-1, 1]: about that of -1 nat a dimension, and little noise on f(z; s)
INITIAL_EDIT_STD = 0.1


class ReferredActor(Actor):
    """A Gaussian over unbounded z, held near N(0, sigma^2 I) by its divergence from it.

    In the place of SAC's entropy bonus -alpha * log pi(z | s) it has
    -alpha * (log pi(z | s) - log N(z; 0, sigma^2 I)), whose mean is -alpha * KL(pi | reference),
    and alpha is tuned to a target KL as SAC tunes it to a target entropy.

    Since f(.; s) is invertible, that KL is the one between the *policy* pi' and the *prior* p' of
    actions, that of z ~ N(0, sigma^2 I). With a = f(z; s) and J = |det da / dz|:
        pi'(a | s) = pi(z | s) / J and p'(a | s) = N(z; 0, sigma^2 I) / J, J being the same in both;
        so E_pi'[log pi'(a | s) - log p'(a | s)] = E_pi[log pi(z | s) - log N(z; 0, sigma^2 I)].

    Args:
        input_dim: width of the trunk's output.
        action_dim: width of z.
        reference_std: sigma. The actor starts with a mean near 0 and this deviation; with 1 as the
            prior itself. Large |z| are the prior's failures: less than 1 is a tempered prior, of
            the same support.
        hidden, generator: see `Actor`.
    """

    def __init__(
        self,
        input_dim: int,
        action_dim: int,
        reference_std: float,
        hidden: Sequence[int],
        generator: torch.Generator,
    ) -> None:
        # In units of the reference, which then is N(0, I)
        high = torch.full((action_dim,), reference_std)
        super().__init__(input_dim, -high, high, hidden, 1.0, generator)

    def squash(self, unsquashed: Tensor) -> Tensor:
        """z, (B, A), without a bound."""
        return self.centre + self.half_width * unsquashed

    def log_reference(self, unsquashed: Tensor) -> Tensor:
        """Log-density of the reference, (B,), in its own units, as the actor's is."""
        return (-0.5 * unsquashed.square() - 0.5 * math.log(2 * math.pi)).sum(-1)

    def target_entropy(self, params: AgentParams) -> float:
        """Minus the target KL, in nats."""
        return -params.target_kl_per_dim * self.action_dim


class UnboundedLatentView(LatentView):
    """z without a box; the warm-up draws it from N(0, reference_std^2 I).

    Args:
        plain, prior, seeing: see `LatentView`.
        reference_std: see `ReferredActor`.
    """

    def __init__(self, plain: Dict, prior: Prior, reference_std: float, seeing: Seeing) -> None:
        super().__init__(plain, prior, math.inf, seeing)
        self._reference_std = reference_std

    def sample_warmup_actions(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw z ~ N(0, reference_std^2 I)."""
        return super().sample_warmup_actions(rng) * np.float32(self._reference_std)


class WideningActor(Actor):
    """An `Actor` over z whose box grows in the course of a run, in proportion to its progress.

    Args:
        input_dim, action_dim: widths of the trunk's output and of z.
        first_bound, last_bound: half-widths of the box at the start and at the end.
        hidden, initial_std, generator: see `Actor`.
    """

    def __init__(
        self,
        input_dim: int,
        action_dim: int,
        first_bound: float,
        last_bound: float,
        hidden: Sequence[int],
        initial_std: float,
        generator: torch.Generator,
    ) -> None:
        high = torch.full((action_dim,), first_bound)
        super().__init__(input_dim, -high, high, hidden, initial_std, generator)
        self._bounds = first_bound, last_bound

    def widen(self, progress: float) -> None:
        """Give the box its half-width of this share of the run."""
        first, last = self._bounds
        self.half_width.fill_(first + (last - first) * progress)


class EditedLatentView(LatentView):
    """The agent's action is (z, e): f(z; s) is executed, edited by e.

    As a residual on a policy that learns too (Dong et al., 2025, "EXPO: Stable reinforcement
    learning with expressive policies"; Silver et al., 2018, "Residual policy learning"). z keeps to
    its box, e in [-1, 1]^A moves each number of the action by up to `edit_scale` half-widths of the
    action box. An edit does not lead out of that box; f(z; s) may, and is the robot's to clip.

    Args:
        plain, prior, latent_bound, seeing: see `LatentView`.
        edit_scale: the largest edit; with 0 the robot executes f(z; s).
    """

    def __init__(
        self, plain: Dict, prior: Prior, latent_bound: float, edit_scale: float, seeing: Seeing
    ) -> None:
        super().__init__(plain, prior, latent_bound, seeing)
        self._low, self._high = prior.action_box()
        self._largest = 0.5 * edit_scale * (self._high - self._low)
        bounds = np.full(self._latent_dim, latent_bound), np.ones(len(self._low))
        high = np.concatenate(bounds).astype(np.float32)
        self.action_space = Box(-high, high, dtype=np.float32)

    def _act(self, held: NDArray[np.float32]) -> NDArray[np.float32]:
        """f(z; s) + edit_scale * e, of each (z, e)."""
        z, edits = np.split(held, [self._latent_dim], axis=-1)
        decoded = super()._act(z)
        low, high = np.minimum(self._low, decoded), np.maximum(self._high, decoded)
        return (decoded + self._largest * edits).clip(low, high).astype(np.float32)

    def sample_warmup_actions(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw z as the prior has it, without an edit."""
        return self._unedited(super().sample_warmup_actions(rng))

    def warmup_mode(self) -> NDArray[np.float32]:
        """The mode, z = 0, without an edit."""
        return self._unedited(super().warmup_mode())

    def _unedited(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.concatenate([z, np.zeros((len(z), len(self._low)), np.float32)], -1)


class EditingActor(Actor):
    """An `Actor` over (z, e) whose z starts as the prior's own and whose edits start small.

    Args:
        input_dim, action_low, action_high, hidden, generator: see `Actor`; of (z, e).
        latent_dim: width of z.
        initial_std: of z, under the tanh.
    """

    def __init__(
        self,
        input_dim: int,
        action_low: Tensor,
        action_high: Tensor,
        hidden: Sequence[int],
        initial_std: float,
        latent_dim: int,
        generator: torch.Generator,
    ) -> None:
        super().__init__(input_dim, action_low, action_high, hidden, initial_std, generator)
        last = self.layers[-1]
        assert isinstance(last, nn.Linear)
        with torch.no_grad():  # The bias of the edits' log standard deviations, the last outputs
            change = self.raw_log_std(INITIAL_EDIT_STD) - self.raw_log_std(initial_std)
            last.bias[self.action_dim + latent_dim :] = change
