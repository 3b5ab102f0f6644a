"""How an agent looks through something frozen: a context, and keypoints beside it."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from parrot_models.networks.choices import Precision
from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.joint_encoder import JointEncoder
from parrot_models.networks.keypoints import KeypointEncoder, Keypoints
from parrot_models.networks.observations import Observations, num_rows


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
        keypoints: (B, 3 * num_keypoints) an image; of width 0 where there are none.
        own: (B, own_dim), of the encoders that the context is made of.
    """

    context: Tensor
    keypoints: Tensor
    own: Tensor


class Sight:
    """Sees what model and keypoints see, up to rounding, in a third of the time.

    Two thirds of acting went into calling two encoders layer by layer. Where there is one image and
    the model's own encoder is foveal, the two are one stack here; others are called as they are.

    Args:
        model: frozen; a copy of its encoder's weights is taken.
        keypoints: frozen, on the same device; a copy is taken too. None without.
        precision: of the convolutions; "fp32" calls the two encoders one after the other.
    """

    def __init__(
        self, model: ContextModel, keypoints: Keypoints | None, precision: Precision
    ) -> None:
        self._model, self._keypoints = model, keypoints
        self._joint: JointEncoder | None = None
        if keypoints is None or precision == "fp32" or len(model.spec.images) != 1:
            return
        (self._image,) = model.spec.images
        foveal, points = model.encoder_of(self._image), keypoints.encoder_of(self._image)
        if isinstance(foveal, FovealEncoder) and isinstance(points, KeypointEncoder):
            self._joint = JointEncoder(points, foveal, precision)

    def see(self, observations: Observations) -> Seen:
        """Look at observations (B, ...) by name."""
        if self._joint is None:
            own = self._model.own_features(observations)
            points = keypoints_of(self._keypoints, observations)
        else:
            positions = self._model.tool_position(observations)
            points, own = self._joint(observations[self._image], positions)
        return Seen(self._model.context_of(own, observations), points, own)


def keypoints_of(keypoints: Keypoints | None, observations: Observations) -> Tensor:
    """Keypoints of observations, (B, F); of width 0 where there are none."""
    if keypoints is not None:
        return keypoints(observations)  # type: ignore[no-any-return]
    some = next(iter(observations.values()))
    return torch.empty(num_rows(observations), 0, device=some.device)
