"""The behavioral prior: an observation in, a distribution over useful actions out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.keypoints import Keypoints
from parrot_models.networks.observations import Observations
from parrot_models.networks.sight import Encoding, keypoints_of
from parrot_models.networks.stored import architecture_of, load_model, save_model
from parrot_models.prior.architecture import PriorArchitecture

WEIGHTS = "prior.safetensors"


class BehavioralPrior(ContextModel):
    """p(a | s) as an invertible map f(z; s) = a of z ~ N(0, I) (PARROT, section 4.1).

    Of three kinds, see `PriorArchitecture`; `FlowMatching` says what one of them loses of this. The
    flow's actions are normalised (see `ActionScale`); those taken and given here are in the robot's
    units.

    The context comes from the flow's own encoders, trained by its likelihood. An agent sees their
    features too, but they need not tell a target from a distractor: that is what keypoints, trained
    to reconstruct images, are for.

    Attributes:
        keypoints: of every image; None without.
        flow: the map between latents and normalised actions.
        latent_dim: width of a latent, that of an action.
        feature_dim: width of the features an agent sees.
    """

    def __init__(self, architecture: PriorArchitecture) -> None:
        """Build the prior with freshly drawn weights; see `ContextModel` for what is refused."""
        super().__init__(architecture, "train_prior")
        a = self.architecture = architecture
        self.latent_dim = a.spec.action.dim
        self.flow = a.flow.make(self.latent_dim, a.context_dim)
        self.keypoints: Keypoints | None = None
        if a.keypoints is not None:
            self.keypoints = Keypoints(a.spec.images, a.keypoints.num_keypoints, a.keypoints.width)
        self.feature_dim = self.own_dim + (self.keypoints.feature_dim if self.keypoints else 0)

    def encode(self, observations: Observations) -> Encoding:
        """Encode observations (B, ...) by name."""
        own = self.own_features(observations)
        context = self.context_of(own, observations)
        return Encoding(context, agent_features(keypoints_of(self.keypoints, observations), own))

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Actions f(z; s), (B, A), of z (B, A) and context (B, context_dim)."""
        return self.action_scale.restored(self.flow.decode(z, context))

    def inverse(self, actions: Tensor, context: Tensor) -> Tensor:
        """Latents (B, A) whose actions these (B, A) are; of a matched flow those of the flow."""
        return self.flow.inverse(self.action_scale.normalised(actions), context)[0]

    def log_prob(self, actions: Tensor, context: Tensor) -> Tensor:
        """Density log p(a | s) of the normalised actions, (B,), summed over A (PARROT, eq. 1)."""
        return self.flow.log_prob(self.action_scale.normalised(actions), context)

    def sample(self, context: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (B, A)."""
        return self.action_scale.restored(self.flow.sample(context, generator))

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the prior was made from."""
        save_model(self, folder, WEIGHTS, self.architecture, lineage)

    @classmethod
    def load(cls, folder: Path) -> BehavioralPrior:
        """Read a prior, frozen and in evaluation mode.

        Raises:
            UserError: config or weights are missing, unreadable or do not fit each other.
        """
        return load_model(
            lambda config: cls(architecture_of(PriorArchitecture, config)),
            folder, WEIGHTS, "a prior", "parrot train-prior",
        )  # fmt: skip


def agent_features(keypoints: Tensor, own: Tensor) -> Tensor:
    """What an agent may see, (B, 3 * num_keypoints an image + own_dim).

    Keypoints, where things are, then the features of the flow's own encoders: with the foveal one,
    what is about the tool.
    """
    return torch.cat([keypoints, own.float()], -1)
