"""How well a beta-VAE sees: errors in pictures, and what its features tell of unseen objects."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from parrot_data.progress import Progress
from parrot_data.worlds.tabletop.env import make_task_env
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.vae_model import (
    BetaVAE,
    is_foreground,
)
from parrot_models.judging.probe import PROBE_TASKS, draw_probe_scenes, encoded, probe_errors_cm

NUM_DRAWN = 12  # pictures a row of reconstructions.png
DRAWN_SCALE = 2
ACTIVE_VARIANCE = 0.01  # of a latent's mean over pictures (Burda et al. 2016)


def sight_metrics(
    vae: BetaVAE,
    held_out: Tensor,
    environment: EnvironmentParams,
    probe_seed: int,
    probe_scenes: int,
    work: Path,
    progress: Progress,
) -> dict[str, Any]:
    """Errors on held-out pictures, and what features tell of unseen objects.

    Errors are root mean squares of RGB, in shares of the pixel range: of all pixels, of those of
    objects, and of the latter for a guess of the mean picture. reconstructions.png is drawn into
    the work folder.

    Args:
        vae: frozen.
        held_out: pictures uint8 (B, S, S, 3).
        environment: the world of the probe's scenes.
        probe_seed: of the scenes of the linear probe.
        probe_scenes: how many of them a task.
        work: folder to draw into.
        progress: told of the two parts.
    """
    progress(1, 2, "reconstructions")
    unseen = _unseen_pictures(environment, probe_seed)
    _draw(vae, [_spread(held_out), unseen], work / "reconstructions.png")
    progress(2, 2, "linear probes")
    of_features = {"features": encoded(lambda images, _p: vae.features(images), vae.device)}
    return {
        "num_active_latents": _num_active(vae, held_out),
        **_errors(vae, held_out),
        "unseen_object_error": _errors(vae, unseen)["object_error"],
        "probe_error_cm": probe_errors_cm(environment, of_features, probe_seed, probe_scenes),
    }


@torch.inference_mode()
def _errors(vae: BetaVAE, images: Tensor) -> dict[str, float]:
    difference = vae.difference(images)
    decoded = vae.decode(vae.posterior(difference).mean)
    error = (decoded - difference)[:, :3].square().mean(1, keepdim=True)
    objects = is_foreground(difference)
    return {
        "reconstruction_error": _root_mean(error),
        "object_error": _root_mean(error[objects]),
        "object_error_of_mean_picture": _root_mean(
            difference[:, :3].square().mean(1, keepdim=True)[objects]
        ),
    }


def _root_mean(squares: Tensor) -> float:
    """Root of their mean; 0 of none: pictures without an object have no error in one."""
    return float(squares.mean().sqrt()) if len(squares) else 0.0


@torch.inference_mode()
def _num_active(vae: BetaVAE, images: Tensor) -> int:
    """Latents that tell pictures apart: the variance of their mean is above a hundredth."""
    return int((vae.features(images).var(0) > ACTIVE_VARIANCE).sum())


def _unseen_pictures(environment: EnvironmentParams, seed: int) -> Tensor:
    """Pictures uint8 (NUM_DRAWN, S, S, 3) of the probe's scenes, of all tasks alike."""
    pictures = []
    for task in PROBE_TASKS:
        env = make_task_env(task, environment)
        pictures.append(draw_probe_scenes(env, seed, NUM_DRAWN // len(PROBE_TASKS)).images)
        env.close()
    return torch.from_numpy(np.concatenate(pictures))


def _spread(images: Tensor) -> Tensor:
    """NUM_DRAWN pictures, or all there are, from the first to the last."""
    places = np.linspace(0, len(images) - 1, min(NUM_DRAWN, len(images))).astype(int)
    return images[torch.from_numpy(places)]


@torch.inference_mode()
def _draw(vae: BetaVAE, rows: Sequence[Tensor], path: Path) -> None:
    """Draw rows of pictures uint8 (B, S, S, 3), each above its reconstructions."""
    lines = [line for images in rows for line in (images, vae.reconstructions(images))]
    longest = max(len(line) for line in lines)
    strips = [
        np.concatenate(
            [*line.numpy(), *[np.full_like(line[0].numpy(), 255)] * (longest - len(line))], axis=1
        )
        for line in lines
    ]
    sheet = Image.fromarray(np.concatenate(strips))
    size = (DRAWN_SCALE * sheet.width, DRAWN_SCALE * sheet.height)
    sheet.resize(size, Image.Resampling.NEAREST).save(path)
