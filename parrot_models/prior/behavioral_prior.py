"""The behavioral prior: a picture in, a distribution over useful actions out."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from parrot_data.envs.tabletop import ACTION_DIM, PROPRIOCEPTION_DIM
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.networks.mlp import mlp
from parrot_models.prior.architecture import PriorArchitecture, make_flow, make_flow_encoder

WEIGHTS, CONFIG = "prior.safetensors", "config.json"


class Encoding(NamedTuple):
    """An observation encoded.

    Attributes:
        context: (B, context_dim), what the flow is conditioned on.
        features: (B, 3 * num_keypoints + feature_dim), what an agent may see: keypoints, where
            things are, then the features of the flow's own encoder, what is about the gripper.
    """

    context: Tensor
    features: Tensor


class BehavioralPrior(nn.Module):
    """p(a | s) as an invertible map f(z; s) = a of z ~ N(0, I) (PARROT, section 4.1).

    Of three kinds, see `make_flow`; `FlowMatching` says what one of them loses of this.

    The context comes from the flow's own encoder, trained by its likelihood. An agent sees its
    features too, but they need not tell a target from a distractor: that is what keypoints, trained
    to reconstruct pictures, are for.
    """

    latent_dim = ACTION_DIM

    def __init__(self, architecture: PriorArchitecture) -> None:
        """Build the prior with freshly drawn weights."""
        super().__init__()
        a = self.architecture = architecture
        self.keypoints = KeypointEncoder(a.image_size, a.num_keypoints, a.keypoint_width)
        self.encoder = make_flow_encoder(a)
        width = a.feature_dim + PROPRIOCEPTION_DIM * a.proprioception
        self.trunk = mlp(width, [256], a.context_dim, layer_norm=True)
        self.flow = make_flow(a)

    @property
    def device(self) -> torch.device:
        """Where its weights lie, and where `encode` and `decode` want their arguments."""
        return self.flow.data_norm.shift.device

    @property
    def feature_dim(self) -> int:
        """Width of the features an agent sees."""
        return self.keypoints.feature_dim + self.architecture.feature_dim

    def encode(self, images: Tensor, proprioception: Tensor | None = None) -> Encoding:
        """Encode observations.

        Args:
            images: uint8 (B, S, S, 3).
            proprioception: float32 (B, 8), needed and read only where the prior was built for it.

        Raises:
            ValueError: the prior reads proprioception and there is none.
        """
        own = self.flow_features(images, proprioception)
        return self.encoding_of(self.keypoints(images), own, proprioception)

    def encoding_of(
        self, keypoints: Tensor, own: Tensor, proprioception: Tensor | None
    ) -> Encoding:
        """The encoding that keypoints' features and the flow's own features make."""
        seen = torch.cat([keypoints, own.float()], -1)
        return Encoding(self._context_of(own, proprioception), seen)

    def context(self, images: Tensor, proprioception: Tensor | None = None) -> Tensor:
        """The context (B, context_dim) alone; arguments as for `encode`."""
        return self._context_of(self.flow_features(images, proprioception), proprioception)

    def flow_features(self, images: Tensor, proprioception: Tensor | None = None) -> Tensor:
        """Features (B, feature_dim) of the flow's own encoder; arguments as for `encode`."""
        if self.architecture.proprioception and proprioception is None:
            raise ValueError("this prior was trained with proprioception: pass it")
        is_foveal = isinstance(self.encoder, FovealEncoder)
        features: Tensor = (
            self.encoder(images, proprioception) if is_foveal else self.encoder(images)
        )
        return features

    def _context_of(self, features: Tensor, proprioception: Tensor | None) -> Tensor:
        parts = [features]
        if self.architecture.proprioception and proprioception is not None:
            parts.append(proprioception)
        context: Tensor = self.trunk(torch.cat(parts, -1))
        return context.float()

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
        weights = {k: v.cpu().contiguous() for k, v in self.state_dict().items()}
        save_file(weights, folder / WEIGHTS)
        write_json(folder / CONFIG, {"architecture": asdict(self.architecture), **lineage})

    @classmethod
    def load(cls, folder: Path) -> BehavioralPrior:
        """Read a prior, frozen and in evaluation mode.

        Raises:
            UserError: config or weights are missing, unreadable or do not fit each other.
        """
        config = read_json(folder / CONFIG)
        try:
            prior = cls(PriorArchitecture(**config["architecture"]))
        except (KeyError, TypeError) as error:
            raise UserError(
                f"{folder / CONFIG} does not describe a prior ({error}); train it again with "
                "`parrot train-prior`"
            ) from error
        _load_weights(prior, folder / WEIGHTS)
        return prior.eval().requires_grad_(False)


def _load_weights(prior: BehavioralPrior, path: Path) -> None:
    try:
        prior.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise UserError(
            f"{path} cannot be read ({error}); restore it with `dvc checkout` or train it again"
        ) from error
    except RuntimeError as error:
        raise UserError(
            f"{path} holds weights of another architecture than {CONFIG} beside it describes; "
            "train the prior again with `parrot train-prior`"
        ) from error
