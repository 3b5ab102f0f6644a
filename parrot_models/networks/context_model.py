"""What a prior and the models of its rivals have in common: how they look at an observation."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from parrot_data.worlds.tabletop.env import PROPRIOCEPTION_DIM
from parrot_models.networks.context_encoder import make_context_encoder
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.mlp import mlp

TRUNK_WIDTH = 256


@dataclass(frozen=True)
class ContextArchitecture:
    """All that determines the shapes of the weights that make a context.

    Attributes:
        image_size: side of the pictures, pixels.
        proprioception: whether it also reads the gripper's pose and opening.
        encoder: "foveal" (needs proprioception), "fast" or "paper".
        feature_dim, window_dim: see `make_context_encoder`.
        context_dim: width of the trunk's output.
    """

    image_size: int
    proprioception: bool
    encoder: str
    feature_dim: int
    window_dim: int
    context_dim: int


class ContextModel(nn.Module):
    """An encoder and a trunk, which make of an observation the context that a model acts on."""

    def __init__(self, architecture: ContextArchitecture, section: str) -> None:
        """Build both with freshly drawn weights.

        Args:
            architecture: of both.
            section: where in params.yaml a user chose it, for the errors.

        Raises:
            UserError: the encoder needs proprioception and there is none, or another feature_dim.
        """
        super().__init__()
        a = architecture
        self.encoder = make_context_encoder(
            a.encoder, a.image_size, a.feature_dim, a.window_dim,
            proprioception=a.proprioception, section=section,
        )  # fmt: skip
        self._reads_proprioception = a.proprioception
        width = a.feature_dim + PROPRIOCEPTION_DIM * a.proprioception
        self.trunk = mlp(width, [TRUNK_WIDTH], a.context_dim, layer_norm=True)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.parameters()).device

    def init_from_data(self, images: Tensor) -> None:
        """Take what the encoder wants to know of pictures, uint8 (B, S, S, 3), before training."""
        if isinstance(self.encoder, FovealEncoder):
            self.encoder.init_from_data(images)

    def context(self, images: Tensor, proprioception: Tensor | None = None) -> Tensor:
        """Encoded observations, float32 (B, context_dim).

        Args:
            images: uint8 (B, S, S, 3).
            proprioception: float32 (B, 8), needed and read only where the model was built for it.

        Raises:
            ValueError: the model reads proprioception and there is none.
        """
        return self.context_of(self.own_features(images, proprioception), proprioception)

    def own_features(self, images: Tensor, proprioception: Tensor | None = None) -> Tensor:
        """Its encoder's features (B, feature_dim); else as `context`."""
        is_foveal = isinstance(self.encoder, FovealEncoder)
        seen = self._read(proprioception) if is_foveal else []
        features: Tensor = self.encoder(images, *seen)
        return features

    def context_of(self, features: Tensor, proprioception: Tensor | None) -> Tensor:
        """The context that its own features (B, feature_dim) make; else as `context`."""
        context: Tensor = self.trunk(torch.cat([features, *self._read(proprioception)], -1))
        return context.float()

    def _read(self, proprioception: Tensor | None) -> list[Tensor]:
        if not self._reads_proprioception:
            return []
        if proprioception is None:
            raise ValueError("this model was trained with proprioception: pass it")
        return [proprioception]
