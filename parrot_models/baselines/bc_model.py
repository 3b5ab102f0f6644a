"""Behavior cloning: a Gaussian over actions, fitted to the data that the prior is fitted to.

What a prior is measured against: the same observations and the same likelihood, but a density with
one mode. Between two objects its mean leads to neither.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    Distribution,
    Independent,
    Normal,
    TanhTransform,
    TransformedDistribution,
)

from parrot_data.section import Widths
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.gaussian import bounded_log_std
from parrot_models.networks.mlp import mlp
from parrot_models.networks.stored import architecture_of, load_model, save_model

LOG_STD_RANGE = (-4.0, 1.0)  # of the Gaussian, in normalised actions
LARGEST_ACTION = 0.999  # beyond it the inverse of tanh loses its digits
WEIGHTS = "policy.safetensors"


class CloneArchitecture(ContextArchitecture):
    """All that determines the shapes of a policy's weights.

    Attributes:
        hidden: widths of the hidden layers of the Gaussian's head.
    """

    hidden: Widths


class BehaviorCloning(ContextModel):
    """p(a | s) as a Gaussian with a diagonal covariance over normalised actions.

    Where actions have bounds it lies under a tanh, which keeps it between them.
    """

    def __init__(self, architecture: CloneArchitecture) -> None:
        """Build the policy with freshly drawn weights; see `ContextModel` for what is refused."""
        super().__init__(architecture, "pretrain.bc")
        a = self.architecture = architecture
        self.head = mlp(a.context_dim, a.hidden, 2 * a.spec.action.dim)

    @property
    def latent_dim(self) -> int:
        """Width of the noise that actions are made of, that of the action."""
        return self.architecture.spec.action.dim

    def gaussian(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation (B, A), under the tanh if any, of context (B, context_dim)."""
        mean, raw = self.head(context).chunk(2, -1)
        return mean, bounded_log_std(raw, *LOG_STD_RANGE).exp()

    def log_prob(self, actions: Tensor, context: Tensor) -> Tensor:
        """Density log p(a | s) of normalised actions, (B,), summed over the dimensions.

        Args:
            actions: (B, A) in the robot's units.
            context: (B, context_dim).
        """
        density: Distribution = Independent(Normal(*self.gaussian(context), validate_args=False), 1)
        normalised = self.action_scale.normalised(actions)
        if self.action_scale.is_bounded:
            density = TransformedDistribution(density, TanhTransform(), validate_args=False)
            normalised = normalised.clamp(-LARGEST_ACTION, LARGEST_ACTION)
        log_prob: Tensor = density.log_prob(normalised)
        return log_prob

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """The robot's actions (B, A) that noise z (B, A) in context (B, context_dim) stands for.

        Of z ~ N(0, I) they are what the policy does.
        """
        mean, std = self.gaussian(context)
        under = mean + std * z
        bounded = torch.tanh(under) if self.action_scale.is_bounded else under
        return self.action_scale.restored(bounded)

    def sample(self, context: Tensor, generator: torch.Generator) -> Tensor:
        """Draw the robot's actions (B, A); the generator is on the policy's device."""
        shape = (len(context), self.latent_dim)
        noise = torch.randn(shape, generator=generator, device=context.device)
        return self.decode(noise, context)

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the policy was made from."""
        save_model(self, folder, WEIGHTS, self.architecture, lineage)

    @classmethod
    def load(cls, folder: Path) -> BehaviorCloning:
        """Read a policy, frozen and in evaluation mode.

        Raises:
            UserError: config or weights are missing, unreadable or do not fit each other.
        """
        return load_model(
            lambda config: cls(architecture_of(CloneArchitecture, config)),
            folder, WEIGHTS, "a behavior-cloned policy", "parrot pretrain --method bc",
        )  # fmt: skip
