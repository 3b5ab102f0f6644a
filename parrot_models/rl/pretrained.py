"""What this room needs of whatever a method was pre-trained as."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor


class Encoding(Protocol):
    """What a prior makes of an observation."""

    @property
    def context(self) -> Tensor:
        """(B, C), what f is conditioned on."""

    @property
    def features(self) -> Tensor:
        """(B, F), what an agent may see."""


class Pretrained(Protocol):
    """Something frozen that sees for the agent."""

    @property
    def device(self) -> torch.device:
        """Of all its arguments and results."""

    def encode(self, images: Tensor, proprioception: Tensor | None) -> Encoding:
        """Encode images uint8 (B, 48, 48, 3) and proprioception (B, 8)."""


class Latents(Pretrained, Protocol):
    """What turns a latent z ~ N(0, I) into behaviour."""

    @property
    def latent_dim(self) -> int:
        """Width of z."""


class Prior(Latents, Protocol):
    """A behavioral prior."""

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Actions f(z; s), (B, 7), of z (B, latent_dim) and context (B, C)."""
