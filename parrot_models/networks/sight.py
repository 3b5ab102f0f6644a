"""How an agent looks through something frozen: a context, and keypoints beside it."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor

from parrot_models.networks.choices import Precision
from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.joint_encoder import JointEncoder
from parrot_models.networks.keypoints import KeypointEncoder


class Encoding(NamedTuple):
    """An observation encoded.

    Attributes:
        context: (B, context_dim), what behaviour is conditioned on.
        features: (B, F), what an agent may see.
    """

    context: Tensor
    features: Tensor


class Seen(NamedTuple):
    """An observation as `Sight` sees it.

    Attributes:
        context: (B, context_dim).
        keypoints: (B, 3 * num_keypoints).
        own: (B, feature_dim), of the encoder that the context is made of.
    """

    context: Tensor
    keypoints: Tensor
    own: Tensor


class Sight:
    """Sees what model and keypoints see, up to rounding, in a third of the time.

    Two thirds of acting went into calling two encoders layer by layer. Where the model's own is
    foveal, the two are one stack here; any other is called as it is.

    Args:
        model: frozen; a copy of its encoder's weights is taken.
        keypoints: frozen, on the same device; a copy is taken too.
        precision: of the convolutions; "fp32" calls the two encoders one after the other.
    """

    def __init__(
        self, model: ContextModel, keypoints: KeypointEncoder, precision: Precision
    ) -> None:
        self._model, self._keypoints = model, keypoints
        self._joint: JointEncoder | None = None
        if precision != "fp32" and isinstance(model.encoder, FovealEncoder):
            self._joint = JointEncoder(keypoints, model.encoder, precision)

    def see(self, images: Tensor, proprioception: Tensor | None) -> Seen:
        """Look at images uint8 (B, S, S, 3) and proprioception (B, 8): see `ContextModel`."""
        if self._joint is None or proprioception is None:
            own = self._model.own_features(images, proprioception)
            keypoints = self._keypoints(images)
        else:
            keypoints, own = self._joint(images, proprioception)
        return Seen(self._model.context_of(own, proprioception), keypoints, own)
