"""A trained prior as agents use it: one picture at a time, nothing to learn."""

from __future__ import annotations

from torch import Tensor

from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.joint_encoder import JointEncoder
from parrot_models.networks.precision import Precision
from parrot_models.prior.behavioral_prior import BehavioralPrior, Encoding


class ActingPrior:
    """Encodes and decodes as the prior does, up to rounding, in a third of the time.

    Two thirds of acting went into calling two encoders layer by layer. Where the prior's own
    encoder is foveal, the two are one stack here; any other is called as it is.

    Args:
        prior: frozen; a copy of its encoders' weights is taken.
        precision: of the convolutions; "fp32" calls the prior's encoders one after the other.
    """

    def __init__(self, prior: BehavioralPrior, precision: Precision) -> None:
        self.latent_dim, self.device = prior.latent_dim, prior.device
        self._prior = prior
        self._joint: JointEncoder | None = None
        if precision != "fp32" and isinstance(prior.encoder, FovealEncoder):
            self._joint = JointEncoder(prior.keypoints, prior.encoder, precision)

    def encode(self, images: Tensor, proprioception: Tensor | None) -> Encoding:
        """Encode images uint8 (B, S, S, 3) and proprioception (B, 8): see `BehavioralPrior`."""
        if self._joint is None or proprioception is None:
            return self._prior.encode(images, proprioception)
        keypoints, own = self._joint(images, proprioception)
        return self._prior.encoding_of(keypoints, own, proprioception)

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Actions f(z; s), (B, 7), of z (B, 7) and context (B, C)."""
        return self._prior.decode(z, context)
