"""How keypoints learn pictures: by reconstruction, beside whatever else is trained on these."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import torch

from parrot_data.progress import Progress
from parrot_data.streams import generator
from parrot_models.networks.device import CPU, to_device
from parrot_models.networks.image_encoder import scale_images
from parrot_models.networks.keypoints import KeypointAutoencoder
from parrot_models.networks.precision import layers_in
from parrot_models.training.augment import augment
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.fitting import Schedule, fit
from parrot_models.training.keypoint_params import KeypointParams

WEIGHT_DECAY = 1e-3
NUM_INIT = 4096  # transitions that initialise the mean picture


class Beside(Protocol):
    """What keypoints take over from the params of the training that they stand beside."""

    @property
    def seed(self) -> int:
        """Of batches."""

    @property
    def augment(self) -> bool:
        """Whether to mirror scenes and shuffle colours."""

    @property
    def precision(self) -> str:
        """Of the products in the convolutions, "bf16" or "fp32"."""

    @property
    def gradient_clip(self) -> float:
        """Largest norm of a gradient."""

    @property
    def checkpoint_every(self) -> int:
        """Steps between checkpoints."""


def fit_keypoints(
    params: KeypointParams,
    beside: Beside,
    batches: TransitionBatches,
    work: Path,
    progress: Progress,
    device: torch.device = CPU,
) -> dict[str, torch.Tensor]:
    """Train the autoencoder, resuming from the work folder; the weights of its encoder.

    Args:
        params: what to train. The first weights are drawn by torch's own initialisers.
        beside: the params of the training that these keypoints stand beside.
        batches: the data.
        work: folder of the checkpoint.
        progress: told of every step.
        device: where to train.

    Raises:
        UserError: training diverged.
    """
    autoencoder = KeypointAutoencoder(
        batches.transitions.images.shape[1],
        params.num_keypoints,
        params.width,
        params.foreground_weight,
    )
    some = batches.sample(NUM_INIT, generator(beside.seed, "keypoints: first batch"))
    mean_picture = scale_images(some.images).mean(0, keepdim=True)
    autoencoder.encoder.mean_picture.copy_(mean_picture)
    autoencoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_at(step: int) -> torch.Tensor:
        rng = generator(beside.seed, "keypoints: step", step)
        batch = batches.sample(params.batch_size, rng)
        images = augment(batch, rng).images if beside.augment else batch.images
        with layers_in(beside.precision, device):
            return autoencoder.loss(to_device(images, device))

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"keypoints, loss {loss:.4f}")

    schedule = Schedule(
        params.steps, params.learning_rate, beside.gradient_clip, WEIGHT_DECAY,
        beside.checkpoint_every,
    )  # fmt: skip
    weights = list(autoencoder.parameters())
    fit(autoencoder, weights, loss_at, schedule, work / "keypoints.checkpoint", after_step)
    return autoencoder.encoder.state_dict()
