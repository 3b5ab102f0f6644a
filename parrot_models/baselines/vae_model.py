"""A beta-VAE of images, whose posterior mean an agent may see in place of pixels.

Higgins et al. (ICLR 2017), eq. 4, after Kingma & Welling (ICLR 2014): convolutions to a Gaussian
posterior over one vector, transposed convolutions back; PARROT's baseline VAE-features. Left open
there, chosen here: widths; that both halves work on differences from the data's mean image; and
how pixels are modelled. A fixed Gaussian for all of them explains arm and shading and leaves out
the objects, which cover few pixels. So chroma (max less min of RGB) is a fourth plane, and where it
differs from the mean image's, which is where an object of whatever colour is, a pixel's precision
is `foreground_weight` times as high. Given these precisions the bound is one on a density. Where an
observation has several images, each has a VAE of its own.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from parrot_data.episodes.spec import EpisodeSpec, ImageSpec
from parrot_data.errors import UserError
from parrot_data.section import Section, Width
from parrot_models.networks.action_scale import ActionScale
from parrot_models.networks.foveal_encoder import with_chroma
from parrot_models.networks.maps import INPUT_GAIN
from parrot_models.networks.mlp import mlp
from parrot_models.networks.observations import Observations
from parrot_models.networks.stored import architecture_of, load_model, save_model

NUM_PLANES = 4  # RGB and chroma
STRIDES = 2**3  # of the three convolutions together
PIXEL_STD = 0.1  # of a pixel of the background, of the pixel range
FOREGROUND_THRESHOLD = 0.1  # of chroma, from the mean image
WEIGHTS = "vae.safetensors"


class VAEArchitecture(Section):
    """All that determines the shapes of a VAE's weights.

    Attributes:
        spec: of the data, with an image at least.
        latent_dim: width of the posterior, and so of the features, an image.
        width: channels of the largest maps; the smaller ones have twice as many.
        hidden: units between the smallest maps and the posterior, and back.
    """

    spec: EpisodeSpec
    latent_dim: Width
    width: Width
    hidden: Width


class Posterior(NamedTuple):
    """q(z | image), a Gaussian with a diagonal covariance: mean and log std, (B, latent_dim)."""

    mean: Tensor
    log_std: Tensor

    def sample(self, noise: Tensor) -> Tensor:
        """Draw z (B, latent_dim) with N(0, I) noise of that shape."""
        return self.mean + self.log_std.exp() * noise

    def kl(self) -> Tensor:
        """KL(q || N(0, I)), (B,), nats."""
        variance = (2 * self.log_std).exp()
        return 0.5 * (self.mean.square() + variance - 1 - 2 * self.log_std).sum(-1)


class ImageVAE(nn.Module):
    """The images of one name to a Gaussian over z, and z back to images.

    Args:
        architecture: widths.
        image: height and width; inside, sides are filled up with the mean image to be halved.
    """

    def __init__(self, architecture: VAEArchitecture, image: ImageSpec) -> None:
        super().__init__()
        a = architecture
        rows, columns = -(-image.height // STRIDES), -(-image.width // STRIDES)
        deep = 2 * a.width
        halve = (4, 2, 1)  # kernel, stride, padding
        self.encoder = nn.Sequential(
            nn.Conv2d(NUM_PLANES, a.width, *halve),
            nn.ReLU(inplace=True),
            nn.Conv2d(a.width, deep, *halve),
            nn.ReLU(inplace=True),
            nn.Conv2d(deep, deep, *halve),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            mlp(deep * rows * columns, [a.hidden], 2 * a.latent_dim),
        )
        self.decoder = nn.Sequential(
            mlp(a.latent_dim, [a.hidden], deep * rows * columns),
            nn.ReLU(inplace=True),
            nn.Unflatten(1, (deep, rows, columns)),
            nn.ConvTranspose2d(deep, deep, *halve),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(deep, a.width, *halve),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(a.width, NUM_PLANES, *halve),
        )
        self._fill = (0, STRIDES * columns - image.width, 0, STRIDES * rows - image.height)
        self.mean_image: Tensor
        self.register_buffer("mean_image", torch.zeros(1, NUM_PLANES, image.height, image.width))

    def init_from_data(self, images: Tensor) -> None:
        """Take the mean image of uint8 (B, H, W, 3)."""
        self.mean_image.copy_(with_chroma(images).mean(0, keepdim=True))

    def difference(self, images: Tensor) -> Tensor:
        """RGB and chroma of uint8 images, less the mean image's: (B, 4, H, W)."""
        planes = with_chroma(images).sub_(self.mean_image)
        return planes.contiguous(memory_format=torch.channels_last)

    def posterior(self, difference: Tensor) -> Posterior:
        """q(z | image), of an image's difference from the mean one; float32."""
        filled = functional.pad(difference, self._fill) if any(self._fill) else difference
        mean, log_std = self.encoder(INPUT_GAIN * filled).float().chunk(2, -1)
        return Posterior(mean, log_std)

    def decode(self, z: Tensor) -> Tensor:
        """Difference from the mean image, (B, 4, H, W), that z (B, latent_dim) stands for."""
        _, _, height, width = self.mean_image.shape
        difference: Tensor = self.decoder(z)[:, :, :height, :width].float()
        return difference

    def reconstructions(self, images: Tensor) -> Tensor:
        """Images uint8 (B, H, W, 3) decoded from the features of images of that shape."""
        planes = self.decode(self.posterior(self.difference(images)).mean) + self.mean_image
        pixels = (255 * (planes[:, :3] + 0.5)).round().clamp(0, 255)
        return pixels.permute(0, 2, 3, 1).to(torch.uint8)


class BetaVAE(nn.Module):
    """A VAE an image, whose latents lie side by side.

    Attributes:
        action_scale: no part of a VAE; its agent, which acts directly, takes its box from it.
    """

    def __init__(self, architecture: VAEArchitecture) -> None:
        """Build all with freshly drawn weights.

        Raises:
            UserError: there are no images.
        """
        super().__init__()
        self.architecture, self.spec = architecture, architecture.spec
        if not self.spec.images:
            raise UserError(
                "pretrain.vae learns images, and the data have vectors alone: leave vae out of "
                "finetune.parts, and vae_features out of finetune.methods"
            )
        self.action_scale = ActionScale(self.spec.action)
        # Prefixed, since a module's own attributes are no names for its children.
        self.vaes = nn.ModuleDict(
            {f"of_{k}": ImageVAE(architecture, image) for k, image in self.spec.images.items()}
        )

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""
        return next(self.parameters()).device

    @property
    def feature_dim(self) -> int:
        """Width of the features an agent sees, of all images."""
        return self.architecture.latent_dim * len(self.vaes)

    @property
    def num_values(self) -> int:
        """Numbers that it models of an observation: those of all planes of all images."""
        return sum(self.vae_of(name).mean_image.numel() for name in self.spec.images)

    def vae_of(self, name: str) -> ImageVAE:
        """The VAE of an image."""
        vae = self.vaes[f"of_{name}"]
        assert isinstance(vae, ImageVAE)
        return vae

    def init_from_data(self, observations: Observations) -> None:
        """Take the mean images of observations (B, ...) by name."""
        for name in self.spec.images:
            self.vae_of(name).init_from_data(observations[name])

    def features(self, observations: Observations) -> Tensor:
        """What an agent sees of observations (B, ...) by name: the posteriors' means (B, F)."""
        seen = [(self.vae_of(name), observations[name]) for name in self.spec.images]
        return torch.cat([vae.posterior(vae.difference(images)).mean for vae, images in seen], -1)

    def save(self, folder: Path, lineage: dict[str, Any]) -> None:
        """Write weights and config; `lineage` says what the VAE was made from."""
        save_model(self, folder, WEIGHTS, self.architecture, lineage)

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
    """The two parts of the evidence lower bound of images, each (B,), nats.

    Attributes:
        log_likelihood: log p(images | z) at one z ~ q, summed over images, pixels and planes.
        kl: KL(q || N(0, I)); log p(images) is at least E log_likelihood - kl.
    """

    log_likelihood: Tensor
    kl: Tensor


def evidence_bound(
    vae: BetaVAE, observations: Observations, noise: Tensor, foreground_weight: float
) -> Bound:
    """The parts of the bound, of observations (B, ...) by name and noise (B, feature_dim)."""
    log_likelihoods, kls = [], []
    of_images = torch.split(noise, vae.architecture.latent_dim, -1)
    for name, of_image in zip(vae.spec.images, of_images, strict=True):
        one = vae.vae_of(name)
        difference = one.difference(observations[name])
        posterior = one.posterior(difference)
        decoded = one.decode(posterior.sample(of_image))
        log_likelihoods.append(log_density(difference, decoded, foreground_weight))
        kls.append(posterior.kl())
    return Bound(torch.stack(log_likelihoods).sum(0), torch.stack(kls).sum(0))


def log_density(difference: Tensor, decoded: Tensor, foreground_weight: float) -> Tensor:
    """Density log N(difference; decoded, PIXEL_STD^2 / weight) of (B, 4, H, W), summed to (B,)."""
    weight = 1.0 + (foreground_weight - 1.0) * is_foreground(difference)
    scaled = (decoded - difference).square() * (weight / PIXEL_STD**2)
    log_scale = 0.5 * weight.log() - math.log(PIXEL_STD) - 0.5 * math.log(2 * math.pi)
    return (log_scale - 0.5 * scaled).sum((1, 2, 3))


def is_foreground(difference: Tensor) -> Tensor:
    """Where an object is, bool (B, 1, H, W): chroma is not that of the mean image."""
    return difference[:, 3:].abs() > FOREGROUND_THRESHOLD
