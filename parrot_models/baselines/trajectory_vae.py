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
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from parrot_data.envs.tabletop import ACTION_DIM, PROPRIOCEPTION_DIM
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_models.networks.context_encoder import make_context_encoder
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.mlp import mlp

TRUNK_WIDTH = 256  # as in the prior
TRANSLATION_DIM = 3  # the first of an action
LOG_STD_RANGE = (-5.0, 1.0)  # of the latent
WEIGHTS, CONFIG = "trajectories.safetensors", "config.json"


@dataclass(frozen=True)
class TrajectoryArchitecture:
    """All that determines the shapes of a model's weights.

    Attributes:
        image_size: side of the pictures, pixels.
        proprioception: whether it also reads the gripper's pose and opening.
        encoder: "foveal" (needs proprioception), "fast" or "paper", as for a prior.
        feature_dim, window_dim: see `make_context_encoder`.
        context_dim: width of the trunk's output.
        hidden: widths of the hidden layers of posterior and decoder.
        latent_dim: width of z.
        num_steps: actions a trajectory.
    """

    image_size: int
    proprioception: bool
    encoder: str
    feature_dim: int
    window_dim: int
    context_dim: int
    hidden: list[int]
    latent_dim: int
    num_steps: int


class TrajectoryVAE(nn.Module):
    """p(a_1..T | z, s_1) with z ~ N(0, I), and the posterior it was learned with."""

    def __init__(self, architecture: TrajectoryArchitecture) -> None:
        """Build the model with freshly drawn weights.

        Raises:
            UserError: the encoder needs proprioception and there is none, or another feature_dim.
        """
        super().__init__()
        a = self.architecture = architecture
        self.encoder = make_context_encoder(
            a.encoder, a.image_size, a.feature_dim, a.window_dim,
            proprioception=a.proprioception, section="pretrain.trajectories",
        )  # fmt: skip
        width = a.feature_dim + PROPRIOCEPTION_DIM * a.proprioception
        self.trunk = mlp(width, [TRUNK_WIDTH], a.context_dim, layer_norm=True)
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

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return self.log_std_action.device

    def init_from_data(self, images: Tensor) -> None:
        """Take what the encoder wants to know of pictures, uint8 (B, S, S, 3), before training."""
        if isinstance(self.encoder, FovealEncoder):
            self.encoder.init_from_data(images)

    def context(self, images: Tensor, proprioception: Tensor | None = None) -> Tensor:
        """Encoded observations before a trajectory's first step, float32 (B, context_dim).

        Args:
            images: uint8 (B, S, S, 3).
            proprioception: float32 (B, 8), needed and read only where the model was built for it.

        Raises:
            ValueError: the model reads proprioception and there is none.
        """
        parts: list[Tensor] = []
        if self.architecture.proprioception:
            if proprioception is None:
                raise ValueError("these trajectories were learned with proprioception: pass it")
            parts = [proprioception]
        is_foveal = isinstance(self.encoder, FovealEncoder)
        features = self.encoder(images, *parts) if is_foveal else self.encoder(images)
        context: Tensor = self.trunk(torch.cat([features, *parts], -1))
        return context.float()

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
        save_file({k: v.contiguous() for k, v in self.state_dict().items()}, folder / WEIGHTS)
        write_json(folder / CONFIG, {"architecture": asdict(self.architecture), **lineage})

    @classmethod
    def load(cls, folder: Path) -> TrajectoryVAE:
        """Read a model, frozen and in evaluation mode.

        Raises:
            UserError: config or weights are missing, unreadable or do not fit each other.
        """
        config = read_json(folder / CONFIG)
        try:
            model = cls(TrajectoryArchitecture(**config["architecture"]))
            model.load_state_dict(load_file(folder / WEIGHTS))
        except (KeyError, TypeError, OSError, SafetensorError, RuntimeError) as error:
            raise UserError(
                f"{folder} holds no model of trajectories ({str(error).splitlines()[0]}): train "
                "one with `parrot pretrain --method trajectories`, or run `dvc checkout`"
            ) from error
        return model.eval().requires_grad_(False)


def path_of(actions: Tensor) -> Tensor:
    """Where translations (B, T, 7) have led after each step, (B, T, 3), in full actions."""
    return actions[..., :TRANSLATION_DIM].cumsum(1)
