"""Features of a VAE for an agent that acts directly (VAE-features of PARROT, section 5)."""

from __future__ import annotations

from pathlib import Path

import torch

from parrot_models.baselines.vae_model import BetaVAE
from parrot_models.methods.part import Part
from parrot_models.networks.choices import Precision
from parrot_models.networks.observations import Observations
from parrot_models.networks.sight import Encoding


class SeenFeatures:
    """The posterior mean of the images: all that the method takes from the VAE, and is about.

    Args:
        vae: frozen.
    """

    def __init__(self, vae: BetaVAE) -> None:
        self._vae, self.device, self.spec = vae, vae.device, vae.spec
        self.action_box = vae.action_scale.box_arrays

    def encode(self, observations: Observations) -> Encoding:
        """Encode observations (B, ...) by name; of these, the images."""
        features = self._vae.features(observations)
        return Encoding(features, features)


def _load(folder: Path, device: torch.device, _precision: Precision) -> SeenFeatures:
    return SeenFeatures(BetaVAE.load(folder).to(device))


VAE = Part("vae", "parrot pretrain --method vae", _load, code=("baselines/vae_model.py",))
