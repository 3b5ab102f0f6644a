"""The behavioral prior: a picture in, a distribution over useful actions out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from parrot_data.worlds.tabletop.env import ACTION_DIM
from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.networks.sight import Encoding
from parrot_models.networks.stored import architecture_of, load_model, save_model
from parrot_models.prior.architecture import PriorArchitecture, make_flow

WEIGHTS = "prior.safetensors"


class BehavioralPrior(ContextModel):
    """p(a | s) as an invertible map f(z; s) = a of z ~ N(0, I) (PARROT, section 4.1).

    Of three kinds, see `make_flow`; `FlowMatching` says what one of them loses of this.

    The context comes from the flow's own encoder, trained by its likelihood. An agent sees its
    features too, but they need not tell a target from a distractor: that is what keypoints, trained
    to reconstruct pictures, are for.
    """

    latent_dim = ACTION_DIM

    def __init__(self, architecture: PriorArchitecture) -> None:
        """Build the prior with freshly drawn weights; see `ContextModel` for what is refused."""
        a = architecture
        # Drawn first: the order of the draws belongs to what a seed means.
        keypoints = KeypointEncoder(a.image_size, a.num_keypoints, a.keypoint_width)
        super().__init__(a, "train_prior")
        self.architecture, self.keypoints = a, keypoints
        self.flow = make_flow(a)

    @property
    def feature_dim(self) -> int:
        """Width of the features an agent sees."""
        return self.keypoints.feature_dim + self.architecture.feature_dim

    def encode(self, images: Tensor, proprioception: Tensor | None = None) -> Encoding:
        """Encode observations: arguments and errors as for `context`."""
        own = self.own_features(images, proprioception)
        context = self.context_of(own, proprioception)
        return Encoding(context, agent_features(self.keypoints(images), own))

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Actions f(z; s), (B, 7), of z (B, 7) and context (B, context_dim)."""
        return self.flow.decode(z, context)

    def log_prob(self, actions: Tensor, context: Tensor) -> Tensor:
        """Density log p(a | s), (B,), summed over the action's dimensions (PARROT, eq. 1)."""
        return self.flow.log_prob(actions, context)

    def sample(self, context: Tensor, generator: torch.Generator) -> Tensor:
        """Draw actions (B, 7)."""
        return self.flow.sample(context, generator)

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the prior was made from."""
        save_model(self, folder, WEIGHTS, asdict(self.architecture), lineage)

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
    """What an agent may see, (B, 3 * num_keypoints + feature_dim).

    Keypoints, where things are, then the features of the flow's own encoder, what is about the
    gripper.
    """
    return torch.cat([keypoints, own.float()], -1)
