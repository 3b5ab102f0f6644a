"""A VAE over whole trajectories of actions: what the baseline TrajRL of PARROT acts with.

PARROT (Singh et al. 2021, section 5) compares with a method that fits a VAE to whole trajectories,
conditioned on the first observation, and lets an agent choose the latent. The scheme is that of
Ghadirzadeh et al. (2017), "Deep predictive policy training using reinforcement learning", and
(2020), "Data-efficient visuomotor policy training using reinforcement learning and generative
models": a beta-VAE (Higgins et al. 2017) of an episode's motor commands, whose decoder then drives
the robot open loop. With z ~ q(z | a_1..T, s_1) training raises

    E_q log p(a_1..T | z, s_1) + E_q log p(c_1..T | z, s_1) - w KL(q | N(0, I)).

What the papers leave open, and what was chosen:

- Open loop, errors add up: a step's error of a tenth of an action moves all that follows by 5 mm.
  So p counts the path besides, c_t = a_1 + ... + a_t of the translations, which weighs what lasts
  more than what the next step takes back. Without that term, and with w = 1, it is the ELBO, which
  is what metrics report.
- Both p are Gaussians around what the decoder says, with one learned deviation a dimension, so that
  no weights between dimensions are to be tuned: the sigma-VAE of Rybkin et al. (2021), "Simple and
  effective VAE training with calibrated decoders".
- The decoder ends in a tanh, which keeps actions in their box; decoding gives the mean.
- A trajectory is an episode, or a chunk of K steps conditioned on what is seen before its first:
  an agent then decides every K steps.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from parrot_data.worlds.tabletop.env import ACTION_DIM
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.mlp import mlp
from parrot_models.networks.stored import architecture_of, load_model, save_model

TRANSLATION_DIM = 3  # the first of an action
LOG_STD_RANGE = (-5.0, 1.0)  # of the latent
WEIGHTS = "trajectories.safetensors"


@dataclass(frozen=True)
class TrajectoryArchitecture(ContextArchitecture):
    """All that determines the shapes of a model's weights.

    Attributes:
        hidden: widths of the hidden layers of posterior and decoder.
        latent_dim: width of z.
        num_steps: actions a trajectory.
    """

    hidden: list[int]
    latent_dim: int
    num_steps: int


class TrajectoryVAE(ContextModel):
    """p(a_1..T | z, s_1) with z ~ N(0, I), and the posterior it was learned with."""

    def __init__(self, architecture: TrajectoryArchitecture) -> None:
        """Build the model with freshly drawn weights; see `ContextModel` for what is refused."""
        super().__init__(architecture, "pretrain.trajectories")
        a = self.architecture = architecture
        told = a.num_steps * (ACTION_DIM + TRANSLATION_DIM)
        self.posterior = mlp(told + a.context_dim, a.hidden, 2 * a.latent_dim)
        self.decoder = mlp(a.latent_dim + a.context_dim, a.hidden, a.num_steps * ACTION_DIM)
        self.log_std_action = nn.Parameter(torch.zeros(ACTION_DIM))
        self.log_std_path = nn.Parameter(torch.zeros(TRANSLATION_DIM))

    @property
    def latent_dim(self) -> int:
        """Width of z."""
        return self.architecture.latent_dim

    @property
    def num_steps(self) -> int:
        """Actions a trajectory."""
        return self.architecture.num_steps

    def encode(self, actions: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (B, L) of q(z | a_1..T, s_1).

        Args:
            actions: (B, T, 7).
            context: (B, context_dim), of what is seen before the first.
        """
        told = torch.cat([actions.flatten(1), path_of(actions).flatten(1), context], -1)
        mean, raw = self.posterior(told).chunk(2, -1)
        low, high = LOG_STD_RANGE
        return mean, (low + 0.5 * (high - low) * (torch.tanh(raw) + 1)).exp()

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """The actions (B, T, 7) in [-1, 1] of latents (B, L) and context (B, context_dim)."""
        flat: Tensor = self.decoder(torch.cat([z, context], -1))
        return torch.tanh(flat).view(-1, self.num_steps, ACTION_DIM)

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the model was made from."""
        save_model(self, folder, WEIGHTS, asdict(self.architecture), lineage)

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


def path_of(actions: Tensor) -> Tensor:
    """Where translations (B, T, 7) have led after each step, (B, T, 3), in full actions."""
    return actions[..., :TRANSLATION_DIM].cumsum(1)
