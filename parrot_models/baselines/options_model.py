"""Options discovered in demonstrations: what HIRL, a baseline of PARROT, acts with.

Temporal variational inference (Shankar and Gupta 2020, "Learning Robot Skills with Temporal
Variational Inference", code in facebookresearch/CausalSkillLearning). A demonstration is a sequence
of options: option z begins where b_t = 1 and lasts until the next boundary. Training raises, with a
posterior q(b, z | trajectory), the bound

    E_q sum_t [ log p(a_t | s_t, z_t) - w b_t KL(q(z_t) | N(0, I)) ] - c KL(mean of q(b) | 1 / K)

PARROT (Singh et al. 2021) learns the high-level policy by RL over z, as we do. What the papers
leave open or we do otherwise:

- q reads proprioception and actions of all steps, as the original, whose trajectories hold no
  pictures. Only the low-level policy p(a | s, z) looks: z need not say where an object is, only
  which one to take and how. That policy is a Gaussian no sharper than the demonstrations' noise:
  were it sharper, z would spend itself on the noise.
- The original samples b and learns it by REINFORCE. Here b is a relaxed sample with hard values
  (binary concrete, straight through) in z_t = b_t z'_t + (1 - b_t) z_{t-1}: Kim et al. (2019),
  "Variational Temporal Abstraction".
- The original bounds the length of an option by hand. Here K, the mean length, is given, and c is
  large: q decides where options begin but hardly how often. With a prior on every single b instead,
  each step became an option of its own.
- The original learns a prior of z given the past. Here it is N(0, I), from which RL over z starts,
  and w, below 1, grows from zero: at w = 1 the policy did without z.
- p(b_t | s_t, z_{t-1}), which says while acting when an option is over, is fitted by maximum
  likelihood to q's boundaries, and nothing but its own head learns from that.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from parrot_data.worlds.tabletop.env import ACTION_DIM
from parrot_models.baselines.option_posterior import OptionPosterior
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.mlp import mlp
from parrot_models.networks.stored import architecture_of, load_model, save_model

ENDS_WIDTH = 64
TEMPERATURE = 0.7  # of the relaxed boundaries
# Of an action. What is finer than the noise of the demonstrations is not worth a word of z.
LOG_STD_RANGE = (math.log(0.1), 0.0)
WEIGHTS = "options.safetensors"


@dataclass(frozen=True)
class OptionArchitecture(ContextArchitecture):
    """All that determines the shapes of a model's weights; its context is the low-level policy's.

    Attributes:
        hidden: widths of the hidden layers of the low-level policy.
        latent_dim: width of z.
        posterior_width: hidden units of the posterior's GRU, in each direction.
    """

    hidden: list[int]
    latent_dim: int
    posterior_width: int


class OptionModel(ContextModel):
    """A low-level policy p(a | s, z), when options end, and the posterior they were found with."""

    def __init__(self, architecture: OptionArchitecture) -> None:
        """Build the model with freshly drawn weights; see `ContextModel` for what is refused."""
        super().__init__(architecture, "pretrain.options")
        a = self.architecture = architecture
        self.policy = mlp(a.context_dim + a.latent_dim, a.hidden, 2 * ACTION_DIM)
        self.end = mlp(a.context_dim + a.latent_dim, [ENDS_WIDTH], 1)
        self.posterior = OptionPosterior(a.latent_dim, a.posterior_width, TEMPERATURE)

    @property
    def latent_dim(self) -> int:
        """Width of z."""
        return self.architecture.latent_dim

    def gaussian(self, z: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (B, 7) of actions, of z (B, L) and context (B, context_dim)."""
        mean, raw = self.policy(torch.cat([context, z], -1)).chunk(2, -1)
        low, high = LOG_STD_RANGE
        return torch.tanh(mean), (low + 0.5 * (high - low) * (torch.tanh(raw) + 1)).exp()

    def log_prob(self, actions: Tensor, z: Tensor, context: Tensor) -> Tensor:
        """Density log p(a | s, z), (B,), summed over the dimensions of actions (B, 7)."""
        mean, std = self.gaussian(z, context)
        density = Normal(mean, std, validate_args=False)
        log_prob: Tensor = density.log_prob(actions)  # type: ignore[no-untyped-call]
        return log_prob.sum(-1)

    def end_logits(self, z: Tensor, context: Tensor) -> Tensor:
        """Log-odds (B,) that option z is over, before the action of this observation."""
        logits: Tensor = self.end(torch.cat([context, z], -1)).squeeze(-1)
        return logits

    def act(self, z: Tensor, context: Tensor) -> Tensor:
        """The action (B, 7) in [-1, 1] of option z (B, L): the mean of p(a | s, z)."""
        return self.gaussian(z, context)[0]

    def ends(self, z: Tensor, context: Tensor) -> Tensor:
        """Probability (B,) that option z, under which this observation was reached, is over here.

        Asked before acting on an observation other than the first: where it is over, another z acts
        on this very observation.
        """
        return torch.sigmoid(self.end_logits(z, context))

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the model was made from."""
        save_model(self, folder, WEIGHTS, asdict(self.architecture), lineage)

    @classmethod
    def load(cls, folder: Path) -> OptionModel:
        """Read a model, frozen and in evaluation mode.

        Raises:
            UserError: config or weights are missing, unreadable or do not fit each other.
        """
        return load_model(
            lambda config: cls(architecture_of(OptionArchitecture, config)),
            folder, WEIGHTS, "options", "parrot pretrain --method options",
        )  # fmt: skip
