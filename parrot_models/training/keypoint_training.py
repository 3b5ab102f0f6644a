"""How keypoints learn images: by reconstruction, beside whatever else is trained on these."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import torch
from torch import nn

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.progress import Progress, Scalars, unheard
from parrot_data.streams import generator
from parrot_models.networks.chance import torch_seed
from parrot_models.networks.device import CPU, to_device
from parrot_models.networks.image_encoder import scale_images
from parrot_models.networks.keypoints import KeypointAutoencoder, Keypoints
from parrot_models.networks.observations import Observations
from parrot_models.networks.precision import layers_in
from parrot_models.training.augment import Augmentation
from parrot_models.training.batches import Batches
from parrot_models.training.fitting import fit, schedule_of
from parrot_models.training.params import (
    KeypointParams,
    NoKeypoints,
    ReconstructedKeypoints,
    TrainingParams,
)

NUM_INIT = 4096  # transitions that initialise the mean images


class _Autoencoders(nn.Module):
    """An autoencoder an image; their losses are added up."""

    def __init__(self, params: ReconstructedKeypoints, spec: EpisodeSpec) -> None:
        super().__init__()
        self.images = nn.ModuleDict(
            {
                f"of_{name}": KeypointAutoencoder(
                    image, params.num_keypoints, params.width, params.foreground_weight
                )
                for name, image in spec.images.items()
            }
        )
        self._spec = spec

    def of(self, name: str) -> KeypointAutoencoder:
        return cast(KeypointAutoencoder, self.images[f"of_{name}"])

    def init_from_data(self, observations: Observations) -> None:
        for name in self._spec.images:
            mean_image = scale_images(observations[name]).mean(0, keepdim=True)
            self.of(name).encoder.mean_image.copy_(mean_image)

    def loss(self, observations: Observations) -> torch.Tensor:
        losses = [self.of(name).loss(observations[name]) for name in self._spec.images]
        return torch.stack(losses).sum()


def fit_keypoints(
    params: KeypointParams,
    beside: TrainingParams,
    keypoints: Keypoints | None,
    augmentation: Augmentation,
    batches: Batches,
    work: Path,
    progress: Progress,
    device: torch.device = CPU,
    scalars: Scalars = unheard,
) -> None:
    """Train keypoints, resuming from the work folder; nothing where there are none.

    They follow from data, seed, augmentation and params alone, so that trainings which agree in
    these have the very same, and a model beside them is what it would be without.

    Args:
        params: what to train.
        beside: the params of the training that these keypoints stand beside: their seed,
            precision, gradient clip and checkpoints are its own.
        keypoints: of this architecture; they get the weights.
        augmentation: what is done to the images; painted they are not.
        batches: the data.
        work: folder of the checkpoint.
        progress: called after every step.
        device: where to train.
        scalars: see `fit`.

    Raises:
        UserError: training diverged.
    """
    if isinstance(params, NoKeypoints) or keypoints is None:
        return
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(beside.seed, "keypoints: weights"))
        autoencoders = _Autoencoders(params, batches.spec)
    some = batches.sample(NUM_INIT, generator(beside.seed, "keypoints: first batch"))
    autoencoders.init_from_data(some.observations)
    autoencoders.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    ranks = batches.ranks

    def loss_at(step: int) -> torch.Tensor:
        rng = generator(beside.seed, "keypoints: step", step)
        seen = batches.share_images(step, params.batch_size, rng)
        rng = ranks.own(rng)
        images = augmentation.colored(augmentation.mirrored(seen), rng)
        with layers_in(beside.precision, device):
            return autoencoders.loss({k: to_device(v, device) for k, v in images.items()})

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"keypoints, loss {loss:.4f}")

    schedule = schedule_of(beside, params.steps, params.learning_rate)
    weights = list(autoencoders.parameters())
    checkpoint = work / "keypoints.checkpoint"
    fit(
        autoencoders,
        weights,
        loss_at,
        schedule,
        checkpoint,
        after_step,
        scalars=scalars,
        ranks=ranks,
    )
    for name in batches.spec.images:
        state = autoencoders.of(name).encoder.state_dict()
        keypoints.encoder_of(name).load_state_dict(state)
