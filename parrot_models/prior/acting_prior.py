"""A trained prior as agents use it: one observation at a time, nothing to learn."""

from __future__ import annotations

from parrot_models.networks.choices import Precision
from parrot_models.networks.observations import Observations
from parrot_models.networks.sight import Encoding, Sight
from parrot_models.prior.behavioral_prior import BehavioralPrior, agent_features


class ActingPrior:
    """Encodes and decodes as the prior does, up to rounding; see `Sight`.

    Args:
        prior: frozen.
        precision: of the convolutions, see `Sight`.
    """

    def __init__(self, prior: BehavioralPrior, precision: Precision) -> None:
        self.spec, self.device = prior.spec, prior.device
        self.latent_dim, self.feature_dim = prior.latent_dim, prior.feature_dim
        self._sight = Sight(prior, prior.keypoints, precision)
        self.decode, self.inverse = prior.decode, prior.inverse
        self.action_box = prior.action_scale.box_arrays

    def encode(self, observations: Observations) -> Encoding:
        """Encode observations (B, ...) by name: see `BehavioralPrior.encode`."""
        context, keypoints, own = self._sight.see(observations)
        return Encoding(context, agent_features(keypoints, own))
