"""Features of a VAE for an agent that acts directly (VAE-features of PARROT, section 5)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from parrot_models.baselines.vae_model import BetaVAE
from parrot_models.methods.part import Part, box_of
from parrot_models.networks.choices import Precision
from parrot_models.networks.observations import Observations
from parrot_models.networks.sight import Encoding


class SeenFeatures:
    """The posterior mean of the images: all that the method takes from the VAE, and is about.

    Args:
        vae: frozen.
    """

    def __init__(self, vae: BetaVAE) -> None:
        self._vae, self.device, self.spec = vae, next(vae.parameters()).device, vae.spec

    def encode(self, observations: Observations) -> Encoding:
        """Encode observations (B, ...) by name; of these, the images."""
        features = self._vae.features(observations)
        return Encoding(features, features)

    def action_box(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """See `Pretrained`."""
        return box_of(self._vae.action_scale)


def _load(folder: Path, device: torch.device, _precision: Precision) -> SeenFeatures:
    return SeenFeatures(BetaVAE.load(folder).to(device))


VAE = Part("vae", "parrot pretrain --method vae", _load, code=("baselines/vae_model.py",))
