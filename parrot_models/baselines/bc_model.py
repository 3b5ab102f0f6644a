"""Behavior cloning: a Gaussian over actions, fitted to the data that the prior is fitted to.

What a prior is measured against: the same observations and the same likelihood, but a density with
one mode. Between two objects its mean leads to neither.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Independent, Normal, TanhTransform, TransformedDistribution

from parrot_data.worlds.tabletop.env import ACTION_DIM
from parrot_models.networks.context_model import ContextArchitecture, ContextModel
from parrot_models.networks.mlp import mlp
from parrot_models.networks.stored import architecture_of, load_model, save_model

LOG_STD_RANGE = (-4.0, 1.0)  # of the Gaussian under the tanh
LARGEST_ACTION = 0.999  # beyond it the inverse of tanh loses its digits
WEIGHTS = "policy.safetensors"


@dataclass(frozen=True)
class CloneArchitecture(ContextArchitecture):
    """All that determines the shapes of a policy's weights.

    Attributes:
        hidden: widths of the hidden layers of the Gaussian's head.
    """

    hidden: list[int]


class BehaviorCloning(ContextModel):
    """p(a | s) as a Gaussian with a diagonal covariance, under a tanh that keeps it in the box."""

    def __init__(self, architecture: CloneArchitecture) -> None:
        """Build the policy with freshly drawn weights; see `ContextModel` for what is refused."""
        super().__init__(architecture, "pretrain.bc")
        a = self.architecture = architecture
        self.head = mlp(a.context_dim, a.hidden, 2 * ACTION_DIM)

    def gaussian(self, context: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation (B, 7) under the tanh, of context (B, context_dim)."""
        mean, raw = self.head(context).chunk(2, -1)
        low, high = LOG_STD_RANGE
        return mean, (low + 0.5 * (high - low) * (torch.tanh(raw) + 1)).exp()

    def log_prob(self, actions: Tensor, context: Tensor) -> Tensor:
        """Density log p(a | s), (B,), summed over the dimensions of actions (B, 7)."""
        base = Independent(Normal(*self.gaussian(context), validate_args=False), 1)
        density = TransformedDistribution(base, TanhTransform(), validate_args=False)
        inside = actions.clamp(-LARGEST_ACTION, LARGEST_ACTION)
        log_prob: Tensor = density.log_prob(inside)  # type: ignore[no-untyped-call]
        return log_prob

    def sample(self, context: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (B, 7)."""
        mean, std = self.gaussian(context)
        noise = torch.randn(mean.shape, generator=generator, dtype=mean.dtype)
        return torch.tanh(mean + std * noise)

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the policy was made from."""
        save_model(self, folder, WEIGHTS, asdict(self.architecture), lineage)

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
