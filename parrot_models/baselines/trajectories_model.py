"""A VAE over whole trajectories of actions: what the baseline TrajRL of PARROT acts with.

PARROT (Singh et al. 2021, section 5) compares with a method that fits a VAE to whole trajectories,
conditioned on the first observation, and lets an agent choose the latent. The scheme is that of
Ghadirzadeh et al. (2017), "Deep predictive policy training using reinforcement learning", and
(2020), "Data-efficient visuomotor policy training using reinforcement learning and generative
models": a beta-VAE (Higgins et al. 2017) of an episode's motor commands, whose decoder then drives
the robot open loop. With z ~ q(z | a_1..T, s_1) training raises

    E_q log p(a_1..T | z, s_1) + E_q log p(c_1..T | z, s_1) - w KL(q | N(0, I)).

What the papers leave open, and what was chosen:

- Open loop, errors add up: where an action moves the robot on, that of one step moves all that
  follows. So p counts the path besides, c_t = a_1 + ... + a_t of normalised actions, which weighs
  what lasts more than what the next step takes back. It is that of all dimensions, since no spec
  says which of them move something: of one that does not, say a gripper's command or a target that
  is told outright, it still weighs the error that lasts. Without that term, and with w = 1, it is
  the ELBO, which is what metrics report.
- Both p are Gaussians around what the decoder says, with one learned deviation a dimension, so that
  no weights between dimensions are to be tuned: the sigma-VAE of Rybkin et al. (2021), "Simple and
  effective VAE training with calibrated decoders".
- Where actions have bounds the decoder ends in a tanh, which keeps them there; decoding gives the
  mean.
- A trajectory is an episode, or a chunk of K steps conditioned on what is seen before its first:
  an agent then decides every K steps. Where an episode ends before a chunk does, the steps beyond
  its end are no part of anything: not of the likelihood, the path or what the posterior reads.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from parrot_data.section import Count, Width, Widths
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.gaussian import bounded_log_std
from parrot_models.networks.mlp import mlp
from parrot_models.networks.stored import architecture_of, load_model, save_model

LOG_STD_RANGE = (-5.0, 1.0)  # of the latent
WEIGHTS = "trajectories.safetensors"


class TrajectoryArchitecture(ContextArchitecture):
    """All that determines the shapes of a model's weights.

    Attributes:
        hidden: widths of the hidden layers of posterior and decoder.
        latent_dim: width of z.
        num_steps: actions a trajectory.
    """

    hidden: Widths
    latent_dim: Width
    num_steps: Count


class TrajectoryVAE(ContextModel):
    """p(a_1..T | z, s_1) with z ~ N(0, I), and the posterior it was learned with."""

    def __init__(self, architecture: TrajectoryArchitecture) -> None:
        """Build the model with freshly drawn weights; see `ContextModel` for what is refused."""
        super().__init__(architecture, "pretrain.trajectories")
        a, dim = architecture, architecture.spec.action.dim
        self.architecture = architecture
        # Of each step its action, the path that far, and whether it is one.
        told = a.num_steps * (dim + dim + 1)
        self.posterior = mlp(told + a.context_dim, a.hidden, 2 * a.latent_dim)
        self.decoder = mlp(a.latent_dim + a.context_dim, a.hidden, a.num_steps * dim)
        self.log_std_action = nn.Parameter(torch.zeros(dim))
        self.log_std_path = nn.Parameter(torch.zeros(dim))

    @property
    def latent_dim(self) -> int:
        """Width of z."""
        return self.architecture.latent_dim

    @property
    def num_steps(self) -> int:
        """Actions a trajectory."""
        return self.architecture.num_steps

    def encode(self, actions: Tensor, is_step: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (B, L) of q(z | a_1..T, s_1).

        Args:
            actions: (B, T, A) in the robot's units; those beyond a trajectory's end are not read.
            is_step: bool (B, T), true up to that end.
            context: (B, context_dim), of what is seen before the first.
        """
        real = is_step[..., None].to(actions)
        normalised = real * self.action_scale.normalised(actions)
        steps = torch.cat([normalised, real * path_of(normalised), real], -1)
        mean, raw = self.posterior(torch.cat([steps.flatten(1), context], -1)).chunk(2, -1)
        return mean, bounded_log_std(raw, *LOG_STD_RANGE).exp()

    def decode_normalised(self, z: Tensor, context: Tensor) -> Tensor:
        """As `decode`, in normalised actions."""
        flat: Tensor = self.decoder(torch.cat([z, context], -1))
        bounded = torch.tanh(flat) if self.action_scale.is_bounded else flat
        return bounded.view(len(bounded), self.num_steps, -1)

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """The robot's actions (B, T, A) of latents (B, L) and context (B, context_dim)."""
        return self.action_scale.restored(self.decode_normalised(z, context))

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the model was made from."""
        save_model(self, folder, WEIGHTS, self.architecture, lineage)

    @classmethod
    def load(cls, folder: Path) -> TrajectoryVAE:
        """Read a model, frozen and in evaluation mode.

        Raises:
            UserError: config or weights are missing, unreadable or do not fit each other.
        """
        return load_model(
            lambda config: cls(architecture_of(TrajectoryArchitecture, config)),
            folder, WEIGHTS, "a model of trajectories", "parrot pretrain --method trajectories",
        )  # fmt: skip


def path_of(normalised: Tensor) -> Tensor:
    """Where normalised actions (B, T, A) have led after each step, (B, T, A)."""
    return normalised.cumsum(1)
