"""A trained prior as agents use it: one picture at a time, nothing to learn."""

from __future__ import annotations

from torch import Tensor

from parrot_models.networks.choices import Precision
from parrot_models.networks.sight import Encoding, Sight
from parrot_models.prior.behavioral_prior import BehavioralPrior, agent_features


class ActingPrior:
    """Encodes and decodes as the prior does, up to rounding; see `Sight`.

    Args:
        prior: frozen.
        precision: of the convolutions, see `Sight`.
    """

    def __init__(self, prior: BehavioralPrior, precision: Precision) -> None:
        self.latent_dim, self.device = prior.latent_dim, prior.device
        self._sight = Sight(prior, prior.keypoints, precision)
        self.decode = prior.decode

    def encode(self, images: Tensor, proprioception: Tensor | None) -> Encoding:
        """Encode images uint8 (B, S, S, 3) and proprioception (B, 8): see `BehavioralPrior`."""
        context, keypoints, own = self._sight.see(images, proprioception)
        return Encoding(context, agent_features(keypoints, own))
