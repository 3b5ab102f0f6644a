"""The behavioral prior: a picture in, a distribution over useful actions out."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from parrot_data.envs.tabletop import ACTION_DIM, PROPRIOCEPTION_DIM
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_models.flows.real_nvp import RealNVP
from parrot_models.networks.image_encoder import make_encoder
from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.networks.mlp import mlp

WEIGHTS, CONFIG = "prior.safetensors", "config.json"


@dataclass(frozen=True)
class PriorArchitecture:
    """All that determines the shapes of a prior's weights.

    Attributes:
        image_size: side of the pictures, pixels.
        proprioception: whether the prior also reads the gripper's pose and opening.
        encoder: name of the convolutional encoder whose features the flow is conditioned on.
        feature_dim: width of those features.
        num_keypoints: points a picture is reduced to for the agent, and for the flow beside them.
        keypoint_width: channels of the keypoint encoder.
        context_dim: width of the context.
        num_layers: coupling layers of the flow.
        hidden: widths of a conditioner's hidden layers.
        max_log_scale: bound on a coupling's log_scale.
    """

    image_size: int
    proprioception: bool
    encoder: str
    feature_dim: int
    num_keypoints: int
    keypoint_width: int
    context_dim: int
    num_layers: int
    hidden: list[int]
    max_log_scale: float


class Encoding(NamedTuple):
    """An observation encoded.

    Attributes:
        context: (B, context_dim), what the flow is conditioned on.
        features: (B, 3 * num_keypoints), what an agent may see: where things are.
    """

    context: Tensor
    features: Tensor


class BehavioralPrior(nn.Module):
    """p(a | s) as an invertible map f(z; s) = a of z ~ N(0, I) (PARROT, section 4.1).

    The context comes from the flow's own convolutions, trained by its likelihood, and from
    keypoints, trained to reconstruct pictures and frozen while the flow learns.
    """

    latent_dim = ACTION_DIM

    def __init__(self, architecture: PriorArchitecture) -> None:
        """Build the prior with freshly drawn weights."""
        super().__init__()
        a = self.architecture = architecture
        self.keypoints = KeypointEncoder(a.image_size, a.num_keypoints, a.keypoint_width)
        self.encoder = make_encoder(a.encoder, a.feature_dim)
        width = a.feature_dim + self.keypoints.feature_dim + PROPRIOCEPTION_DIM * a.proprioception
        self.trunk = mlp(width, [256], a.context_dim, layer_norm=True)
        self.flow = RealNVP(ACTION_DIM, a.context_dim, a.num_layers, a.hidden, a.max_log_scale)

    @property
    def feature_dim(self) -> int:
        """Width of the features an agent sees."""
        return self.keypoints.feature_dim

    def encode(self, images: Tensor, proprioception: Tensor | None = None) -> Encoding:
        """Encode observations.

        Args:
            images: uint8 (B, S, S, 3).
            proprioception: float32 (B, 8), needed and read only where the prior was built for it.

        Raises:
            ValueError: the prior reads proprioception and there is none.
        """
        with torch.no_grad():
            features = self.keypoints(images)
        parts = [self.encoder(images), features]
        if self.architecture.proprioception:
            if proprioception is None:
                raise ValueError("this prior was trained with proprioception: pass it")
            parts.append(proprioception)
        return Encoding(self.trunk(torch.cat(parts, -1)).float(), features)

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
        save_file({k: v.contiguous() for k, v in self.state_dict().items()}, folder / WEIGHTS)
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
