"""What an agent sees where a model was pre-trained without thinking of one."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import torch
from torch import Tensor, nn

from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.joint_encoder import JointEncoder
from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.networks.precision import Precision


class Encoded(NamedTuple):
    """An observation encoded, see `Encoding`."""

    context: Tensor
    features: Tensor


class Contexts(Protocol):
    """What this room needs of a model that makes a context, see `ContextModel`."""

    @property
    def encoder(self) -> nn.Module:
        """Its own."""

    @property
    def device(self) -> torch.device:
        """Of its weights."""

    def context(self, images: Tensor, proprioception: Tensor | None) -> Tensor:
        """(B, C) of images uint8 (B, S, S, 3) and proprioception (B, 8)."""

    def context_of(self, features: Tensor, proprioception: Tensor | None) -> Tensor:
        """The same of its encoder's features."""


class ContextSeen:
    """A model as something to see with: its context, and beside that keypoints of its own.

    No paper says what else the agent of such a baseline should see. What a prior's agents see, they
    see beside keypoints, which tell a target from a distractor; so do these. A foveal encoder and
    keypoints look at a picture together, see `ActingPrior`.

    Args:
        model: frozen; its context is what its behaviour depends on.
        keypoints: frozen, on the same device.
        precision: of the convolutions; "fp32" calls the two encoders one after the other.
    """

    def __init__(self, model: Contexts, keypoints: KeypointEncoder, precision: Precision) -> None:
        self.device = model.device
        self._model, self._keypoints = model, keypoints
        self._joint: JointEncoder | None = None
        if precision != "fp32" and isinstance(model.encoder, FovealEncoder):
            self._joint = JointEncoder(keypoints, model.encoder, precision)

    def encode(self, images: Tensor, proprioception: Tensor | None) -> Encoded:
        """Encode images uint8 (B, S, S, 3) and proprioception (B, 8).

        Features begin with the context, on which `ClonedActor` relies.
        """
        if self._joint is None or proprioception is None:
            context = self._model.context(images, proprioception)
            keypoints = self._keypoints(images)
        else:
            keypoints, own = self._joint(images, proprioception)
            context = self._model.context_of(own, proprioception)
        return Encoded(context, torch.cat([context, keypoints], -1))
