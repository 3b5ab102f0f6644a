"""A beta-VAE of pictures, whose posterior mean an agent may see in place of pixels.

Higgins et al. (ICLR 2017), eq. 4, after Kingma & Welling (ICLR 2014): convolutions to a Gaussian
posterior over one vector, transposed convolutions back; PARROT's baseline VAE-features. Left open
there, chosen here: widths; that both halves work on differences from the data's mean picture; and
how pixels are modelled. A fixed Gaussian for all of them explains arm and shading and leaves out
the objects, which cover few pixels. So chroma (max less min of RGB) is a fourth plane, and where it
differs from the mean picture's, which is where an object of whatever colour is, a pixel's precision
is `foreground_weight` times as high. Given these precisions the bound is one on a density.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from parrot_data.errors import UserError
from parrot_models.networks.foveal_encoder import with_chroma
from parrot_models.networks.maps import INPUT_GAIN
from parrot_models.networks.mlp import mlp
from parrot_models.networks.stored import architecture_of, load_model, save_model

NUM_PLANES = 4  # RGB and chroma
STRIDES = 8  # of the three convolutions together
PIXEL_STD = 0.1  # of a pixel of the background, of the pixel range
FOREGROUND_THRESHOLD = 0.1  # of chroma, from the mean picture
WEIGHTS = "vae.safetensors"


@dataclass(frozen=True)
class VAEArchitecture:
    """All that determines the shapes of a VAE's weights.

    Attributes:
        image_size: side of the pictures, pixels, a multiple of 8.
        latent_dim: width of the posterior, and so of the features.
        width: channels of the largest maps; the smaller ones have twice as many.
        hidden: units between the smallest maps and the posterior, and back.
    """

    image_size: int
    latent_dim: int
    width: int
    hidden: int


class Posterior(NamedTuple):
    """q(z | picture), a Gaussian with a diagonal covariance: mean and log std, (B, latent_dim)."""

    mean: Tensor
    log_std: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Draw z (B, latent_dim) with N(0, I) noise of that shape."""
        return self.mean + self.log_std.exp() * noise

    def kl(self) -> Tensor:
        """KL(q || N(0, I)), (B,), nats."""
        variance = (2 * self.log_std).exp()
        return 0.5 * (self.mean.square() + variance - 1 - 2 * self.log_std).sum(-1)


class BetaVAE(nn.Module):
    """Pictures to a Gaussian over z, and z back to pictures."""

    def __init__(self, architecture: VAEArchitecture) -> None:
        """Build both halves with freshly drawn weights.

        Raises:
            UserError: the pictures' side is no multiple of 8.
        """
        super().__init__()
        a = self.architecture = architecture
        if a.image_size % STRIDES:
            raise UserError(
                f"pretrain.vae halves pictures three times: environment.image_size must be a "
                f"multiple of {STRIDES}, not {a.image_size}"
            )
        side, deep = a.image_size // STRIDES, 2 * a.width
        halve = (4, 2, 1)  # kernel, stride, padding
        self.encoder = nn.Sequential(
            nn.Conv2d(NUM_PLANES, a.width, *halve),
            nn.ReLU(inplace=True),
            nn.Conv2d(a.width, deep, *halve),
            nn.ReLU(inplace=True),
            nn.Conv2d(deep, deep, *halve),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            mlp(deep * side**2, [a.hidden], 2 * a.latent_dim),
        )
        self.decoder = nn.Sequential(
            mlp(a.latent_dim, [a.hidden], deep * side**2),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (deep, side, side)),
            nn.ConvTranspose2d(deep, deep, *halve),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(deep, a.width, *halve),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(a.width, NUM_PLANES, *halve),
        )
        self.mean_picture: Tensor
        empty = torch.zeros(1, NUM_PLANES, a.image_size, a.image_size)
        self.register_buffer("mean_picture", empty)

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return self.mean_picture.device

    @property
    def feature_dim(self) -> int:
        """Width of the features an agent sees."""
        return self.architecture.latent_dim

    def init_from_data(self, images: Tensor) -> None:
        """Take the mean picture of uint8 (B, S, S, 3)."""
        self.mean_picture.copy_(with_chroma(images).mean(0, keepdim=True))

    def features(self, images: Tensor) -> Tensor:
        """What an agent sees of uint8 pictures (B, S, S, 3): the posterior's mean (B, F)."""
        return self.posterior(self.difference(images)).mean

    def difference(self, images: Tensor) -> Tensor:
        """RGB and chroma of uint8 pictures, less the mean picture's: (B, 4, S, S)."""
        planes = with_chroma(images).sub_(self.mean_picture)
        return planes.contiguous(memory_format=torch.channels_last)

    def posterior(self, difference: Tensor) -> Posterior:
        """q(z | picture), of a picture's difference from the mean one; float32."""
        mean, log_std = self.encoder(INPUT_GAIN * difference).float().chunk(2, -1)
        return Posterior(mean, log_std)

    def decode(self, z: Tensor) -> Tensor:
        """Difference from the mean picture, (B, 4, S, S), that z (B, latent_dim) stands for."""
        difference: Tensor = self.decoder(z).float()
        return difference

    def reconstructions(self, images: Tensor) -> Tensor:
        """Pictures uint8 (B, S, S, 3) decoded from the features of pictures of that shape."""
        planes = self.decode(self.features(images)) + self.mean_picture
        pixels = (255 * (planes[:, :3] + 0.5)).round().clamp(0, 255)
        return pixels.permute(0, 2, 3, 1).to(torch.uint8)

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the VAE was made from."""
        save_model(self, folder, WEIGHTS, asdict(self.architecture), lineage)

    @classmethod
    def load(cls, folder: Path) -> BetaVAE:
        """Read a VAE, frozen and in evaluation mode.

        Raises:
            UserError: config or weights are missing, unreadable or do not fit each other.
        """
        return load_model(
            lambda config: cls(architecture_of(VAEArchitecture, config)),
            folder, WEIGHTS, "a beta-VAE", "parrot pretrain --method vae",
        )  # fmt: skip


class Bound(NamedTuple):
    """The two parts of the evidence lower bound of pictures, each (B,), nats.

    Attributes:
        log_likelihood: log p(picture | z) at one z ~ q, summed over pixels and planes.
        kl: KL(q || N(0, I)); log p(picture) is at least E log_likelihood - kl.
    """

    log_likelihood: Tensor
    kl: Tensor


def evidence_bound(vae: BetaVAE, images: Tensor, noise: Tensor, foreground_weight: float) -> Bound:
    """The parts of the bound, of uint8 pictures (B, S, S, 3) and noise (B, latent_dim)."""
    difference = vae.difference(images)
    posterior = vae.posterior(difference)
    decoded = vae.decode(posterior.sample(noise))
    log_likelihood = log_density(difference, decoded, foreground_weight)
    return Bound(log_likelihood, posterior.kl())


def log_density(difference: Tensor, decoded: Tensor, foreground_weight: float) -> Tensor:
    """Density log N(difference; decoded, PIXEL_STD^2 / weight) of (B, 4, S, S), summed to (B,)."""
    weight = 1.0 + (foreground_weight - 1.0) * is_foreground(difference)
    scaled = (decoded - difference).square() * (weight / PIXEL_STD**2)
    log_scale = 0.5 * weight.log() - math.log(PIXEL_STD) - 0.5 * math.log(2 * math.pi)
    return (log_scale - 0.5 * scaled).sum((1, 2, 3))


def is_foreground(difference: Tensor) -> Tensor:
    """Where an object is, bool (B, 1, S, S): chroma is not that of the mean picture."""
    return difference[:, 3:].abs() > FOREGROUND_THRESHOLD
