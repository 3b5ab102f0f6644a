"""How a beta-VAE learns pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from parrot_data.progress import Progress
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.beta_vae_judging import sight_metrics
from parrot_models.baselines.params import BetaVAEParams
from parrot_models.baselines.pretraining import Pretraining, schedule_of
from parrot_models.baselines.vae_model import (
    BetaVAE,
    VAEArchitecture,
    evidence_bound,
)
from parrot_models.networks.device import CPU
from parrot_models.networks.precision import layers_in
from parrot_models.training.augment import augment
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.fitting import fit
from parrot_models.training.history import curve_log

NUM_INIT = 4096  # transitions that make the mean picture
NUM_LOGGED = 1024  # training and held-out transitions of the curve, and of the metrics


def make_vae(params: BetaVAEParams, environment: EnvironmentParams) -> BetaVAE:
    """The VAE that these params ask for, with freshly drawn weights."""
    size = environment.image_size
    return BetaVAE(VAEArchitecture(size, params.latent_dim, params.width, params.hidden))


def fit_vae(
    params: BetaVAEParams, vae: BetaVAE, batches: TransitionBatches, work: Path, progress: Progress
) -> None:
    """Maximise E log p(picture | z) - beta KL; both go to `work / history.csv`."""
    vae.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, generator(params.seed, "vae: first batch"))
    vae.init_from_data(some.images)
    curve = work / "history.csv"
    log = _bound_log(params, vae, batches, curve)

    def loss_at(step: int) -> Tensor:
        rng = generator(params.seed, "vae: step", step)
        batch = batches.sample(params.batch_size, rng)
        images = augment(batch, rng).images if params.augment else batch.images
        noise = _noise(rng, len(images), vae)
        with layers_in(params.precision, CPU):
            bound = evidence_bound(vae, images, noise, params.foreground_weight)
        loss = (params.beta * bound.kl - bound.log_likelihood).mean()
        return loss / vae.mean_picture.numel()

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"beta-VAE, loss {loss:.3f} nats a value")
        if params.is_logged(step + 1):
            log(step + 1)

    weights = list(vae.parameters())
    fit(vae, weights, loss_at, schedule_of(params), work / "vae.checkpoint", after_step, curve)


def judge_vae(
    params: BetaVAEParams,
    vae: BetaVAE,
    batches: TransitionBatches,
    environment: EnvironmentParams,
    work: Path,
    progress: Progress,
) -> dict[str, Any]:
    """The bound on held-out pictures, and how well the VAE sees; see `sight_metrics`."""
    held_out = next(batches.held_out(NUM_LOGGED)).images
    log_likelihood, kl = _mean_bound(params, vae, held_out, "fp32")
    seen = sight_metrics(
        vae, held_out, environment, params.probe_seed, params.probe_scenes, work, progress
    )
    return {"elbo": log_likelihood - kl, "log_likelihood": log_likelihood, "kl": kl, **seen}


@torch.inference_mode()
def _mean_bound(
    params: BetaVAEParams, vae: BetaVAE, images: Tensor, precision: str
) -> tuple[float, float]:
    """Mean log-likelihood at one z a picture, always the same noise, and mean KL; nats."""
    noise = _noise(generator(params.seed, "vae: bound"), len(images), vae)
    with layers_in(precision, CPU):
        bound = evidence_bound(vae, images, noise, params.foreground_weight)
    return float(bound.log_likelihood.mean()), float(bound.kl.mean())


def _bound_log(
    params: BetaVAEParams, vae: BetaVAE, batches: TransitionBatches, path: Path
) -> Callable[[int], None]:
    """Log both parts of the bound on training and held-out pictures; see `curve_log`."""
    train = batches.sample(NUM_LOGGED, generator(params.seed, "vae: logged")).images
    held_out = next(batches.held_out(NUM_LOGGED)).images
    parts = ("log_likelihood", "kl")
    columns = [f"{name}_{part}" for name in ("train", "validation") for part in parts]

    def measure() -> Sequence[float]:
        seen = (train, held_out)
        return [part for images in seen for part in _mean_bound(params, vae, images, "fp32")]

    return curve_log(path, columns, measure)


def _noise(rng: np.random.Generator, count: int, vae: BetaVAE) -> Tensor:
    shape = (count, vae.architecture.latent_dim)
    return torch.from_numpy(rng.standard_normal(shape, dtype=np.float32))


BETA_VAE = Pretraining(
    make=make_vae,
    fit=fit_vae,
    judge=judge_vae,
    card="A beta-VAE of pictures of a tabletop (Higgins et al., ICLR 2017), weighted towards "
    "coloured objects.\nIts posterior mean is what an agent sees in place of pixels.",
)
