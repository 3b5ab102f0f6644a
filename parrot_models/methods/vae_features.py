"""Features of a VAE for an agent that acts directly (VAE-features of PARROT, section 5)."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from parrot_models.baselines.vae_model import BetaVAE
from parrot_models.methods.part import Part
from parrot_models.networks.choices import Precision
from parrot_models.networks.sight import Encoding


class SeenFeatures:
    """The posterior mean of a picture: all that the method takes from the VAE, and is about.

    Args:
        vae: frozen.
    """

    def __init__(self, vae: BetaVAE) -> None:
        self._vae, self.device = vae, next(vae.parameters()).device

    def encode(self, images: Tensor, _proprioception: Tensor | None) -> Encoding:
        """Encode images uint8 (B, S, S, 3)."""
        features = self._vae.features(images)
        return Encoding(features, features)


def _load(folder: Path, device: torch.device, _precision: Precision) -> SeenFeatures:
    return SeenFeatures(BetaVAE.load(folder).to(device))


VAE = Part("vae", "parrot pretrain --method vae", _load, code=("baselines/vae_model.py",))
