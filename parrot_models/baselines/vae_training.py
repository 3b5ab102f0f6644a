"""How a beta-VAE learns images, and how well it sees them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress, Scalars
from parrot_data.streams import generator
from parrot_models.baselines.params import BetaVAEParams
from parrot_models.baselines.pretraining import Pretraining
from parrot_models.baselines.vae_model import (
    BetaVAE,
    VAEArchitecture,
    evidence_bound,
    is_foreground,
)
from parrot_models.networks.choices import Precision
from parrot_models.networks.observations import Observations, num_rows
from parrot_models.networks.precision import layers_in
from parrot_models.training.augment import augmentation_of
from parrot_models.training.batches import Batches
from parrot_models.training.fitting import fit, schedule_of
from parrot_models.training.history import curve_log

NUM_INIT = 4096  # transitions that make the mean images
NUM_LOGGED = 1024  # training and held-out transitions of the curve, and of the metrics
NUM_DRAWN = 12  # images a row of reconstructions.png
DRAWN_HEIGHT = 96  # pixels
ACTIVE_VARIANCE = 0.01  # of a latent's mean over images (Burda et al. 2016)


def make_vae(params: BetaVAEParams, spec: EpisodeSpec) -> BetaVAE:
    """The VAE that these params ask for, with freshly drawn weights."""
    architecture = VAEArchitecture(
        spec=spec, latent_dim=params.latent_dim, width=params.width, hidden=params.hidden
    )
    return BetaVAE(architecture)


def fit_vae(
    params: BetaVAEParams,
    vae: BetaVAE,
    batches: Batches,
    work: Path,
    progress: Progress,
    scalars: Scalars,
) -> None:
    """Maximise E log p(images | z) - beta KL; both go to `work / history.csv`."""
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, generator(params.seed, "vae: first batch"))
    vae.init_from_data(some.observations)
    vae.action_scale.init_from_data(some.actions)
    # Without backdrops: painted objects are none that there are to be seen.
    augmentation = augmentation_of(params.augment, batches.spec, "pretrain.vae")
    curve = work / "history.csv"
    log = _bound_log(params, vae, batches, curve)

    def loss_at(step: int) -> Tensor:
        rng = generator(params.seed, "vae: step", step)
        batch = batches.share(step, params.batch_size, rng)
        rng = batches.ranks.own(rng)
        seen = augmentation(batch, rng).observations
        noise = _noise(rng, num_rows(seen), vae)
        with layers_in(params.precision, vae.device):
            bound = evidence_bound(vae, seen, noise, params.foreground_weight)
        loss = (params.beta * bound.kl - bound.log_likelihood).mean()
        return loss / vae.num_values

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"beta-VAE, loss {loss:.3f} nats a value")
        if params.is_logged(step + 1):
            log(step + 1)

    weights = list(vae.parameters())
    fit(
        vae,
        weights,
        loss_at,
        schedule_of(params, params.steps, params.learning_rate),
        work / "vae.checkpoint",
        after_step,
        curve,
        scalars,
        batches.ranks,
    )


def measure_vae(
    params: BetaVAEParams, vae: BetaVAE, batches: Batches, work: Path, progress: Progress
) -> dict[str, Any]:
    """The bound on held-out images, and how far off their reconstructions are.

    reconstructions.png is drawn into the work folder.
    """
    progress(1, 1, "reconstructions of held-out images")
    held_out = next(batches.held_out(NUM_LOGGED)).observations
    log_likelihood, kl = _mean_bound(params, vae, held_out, "fp32")
    draw_reconstructions(vae, held_out, work / "reconstructions.png")
    return {
        "elbo": log_likelihood - kl,
        "log_likelihood": log_likelihood,
        "kl": kl,
        "num_active_latents": num_active(vae, held_out),
        **error_metrics(vae, held_out),
    }


@torch.inference_mode()
def error_metrics(vae: BetaVAE, observations: Observations) -> dict[str, float]:
    """Errors of reconstructions: root mean squares of RGB, in shares of the pixel range.

    Returns:
        reconstruction_error: of all pixels of all images.
        object_error: of those of objects.
        object_error_of_mean_image: of the latter, for a guess of the mean image.
    """
    errors, of_objects, of_mean = [], [], []
    for name in vae.spec.images:
        one = vae.vae_of(name)
        difference = one.difference(observations[name])
        decoded = one.decode(one.posterior(difference).mean)
        error = _mean_square(decoded - difference)
        objects = is_foreground(difference)
        errors.append(error.flatten())
        of_objects.append(error[objects])
        of_mean.append(_mean_square(difference)[objects])
    return {
        "reconstruction_error": _root_mean(errors),
        "object_error": _root_mean(of_objects),
        "object_error_of_mean_image": _root_mean(of_mean),
    }


def _mean_square(planes: Tensor) -> Tensor:
    """Of RGB, (B, 1, H, W), of planes (B, 4, H, W)."""
    return planes[:, :3].square().mean(1, keepdim=True)


def _root_mean(squares: Sequence[Tensor]) -> float:
    """Root of their mean; 0 of none: images without an object have no error in one."""
    values = torch.cat([*squares])
    return float(values.mean().sqrt()) if len(values) else 0.0


@torch.inference_mode()
def num_active(vae: BetaVAE, observations: Observations) -> int:
    """Latents that tell images apart: the variance of their mean is above a hundredth."""
    return int((vae.features(observations).var(0, correction=0) > ACTIVE_VARIANCE).sum())


@torch.inference_mode()
def draw_reconstructions(vae: BetaVAE, observations: Observations, path: Path) -> None:
    """Draw some images of each name in a row, from the first to the last, above what they become.

    Args:
        vae: frozen.
        observations: by name, images uint8 (B, H, W, 3).
        path: of the PNG.
    """
    places = np.linspace(0, num_rows(observations) - 1, NUM_DRAWN).astype(int)
    chosen = torch.from_numpy(np.unique(places))
    rows = []
    for name in vae.spec.images:
        images = observations[name][chosen]
        rows += [_strip(images), _strip(vae.vae_of(name).reconstructions(images))]
    sheet = Image.new("RGB", (max(row.width for row in rows), DRAWN_HEIGHT * len(rows)), "white")
    for number, row in enumerate(rows):
        sheet.paste(row, (0, number * DRAWN_HEIGHT))
    sheet.save(path)


def _strip(images: Tensor) -> Image.Image:
    """Images uint8 (B, H, W, 3) side by side, as high as they are drawn."""
    joined = Image.fromarray(np.concatenate([*images.numpy()], axis=1))
    width = max(1, round(joined.width * DRAWN_HEIGHT / joined.height))
    return joined.resize((width, DRAWN_HEIGHT), Image.Resampling.NEAREST)


@torch.inference_mode()
def _mean_bound(
    params: BetaVAEParams, vae: BetaVAE, observations: Observations, precision: Precision
) -> tuple[float, float]:
    """Mean log-likelihood at one z an image, always the same noise, and mean KL; nats."""
    noise = _noise(generator(params.seed, "vae: bound"), num_rows(observations), vae)
    with layers_in(precision, vae.device):
        bound = evidence_bound(vae, observations, noise, params.foreground_weight)
    return float(bound.log_likelihood.mean()), float(bound.kl.mean())


def _bound_log(
    params: BetaVAEParams, vae: BetaVAE, batches: Batches, path: Path
) -> Callable[[int], None]:
    """Log both parts of the bound on training and held-out images; see `curve_log`."""
    train = batches.sample(NUM_LOGGED, generator(params.seed, "vae: logged")).observations
    held_out = next(batches.held_out(NUM_LOGGED)).observations
    parts = ("log_likelihood", "kl")
    columns = [f"{name}_{part}" for name in ("train", "validation") for part in parts]

    def measure() -> Sequence[float]:
        seen = (train, held_out)
        return [part for images in seen for part in _mean_bound(params, vae, images, "fp32")]

    return curve_log(path, columns, measure)


def _noise(rng: np.random.Generator, count: int, vae: BetaVAE) -> Tensor:
    noise = rng.standard_normal((count, vae.feature_dim), dtype=np.float32)
    return torch.from_numpy(noise)


BETA_VAE = Pretraining(
    make=make_vae,
    fit=fit_vae,
    measure=measure_vae,
    card="A beta-VAE of images (Higgins et al., ICLR 2017), weighted towards coloured objects.\n"
    "Its posterior mean is what an agent sees in place of pixels.",
)
