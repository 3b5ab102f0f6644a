"""The two trainings of a prior: keypoints by reconstruction, the flow by likelihood."""

from __future__ import annotations

from pathlib import Path

import torch

from parrot_data.progress import Progress
from parrot_models.networks.device import to_device
from parrot_models.networks.foveal_encoder import FovealEncoder
from parrot_models.networks.image_encoder import scale_images
from parrot_models.networks.keypoints import KeypointAutoencoder
from parrot_models.networks.precision import layers_in
from parrot_models.prior.augment import augment, backdrop_of
from parrot_models.prior.batches import TransitionBatches, step_generator
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.fitting import Schedule, fit
from parrot_models.prior.likelihood import likelihood_log, negative_log_likelihood
from parrot_models.prior.params import TrainPriorParams

WEIGHT_DECAY = 1e-3
NUM_INIT = 4096  # transitions that initialise the mean picture and the flow's normalisation
NUM_LOGGED = 4096  # of the training transitions, for the likelihood curve
KEYPOINT_STREAM, FLOW_STREAM, INIT_STREAM = 0, 1, 2


def fit_keypoints(
    params: TrainPriorParams,
    batches: TransitionBatches,
    work: Path,
    device: torch.device,
    progress: Progress,
) -> dict[str, torch.Tensor]:
    """Train the autoencoder on a device; the weights of its encoder."""
    autoencoder = KeypointAutoencoder(
        batches.transitions.images.shape[1],
        params.num_keypoints,
        params.keypoint_width,
        params.foreground_weight,
    )
    some = batches.sample(NUM_INIT, step_generator(params.seed, 0, INIT_STREAM))
    mean_picture = scale_images(some.images).mean(0, keepdim=True)
    autoencoder.encoder.mean_picture.copy_(mean_picture)
    autoencoder.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    def loss_at(step: int) -> torch.Tensor:
        rng = step_generator(params.seed, step, KEYPOINT_STREAM)
        batch = batches.sample(params.keypoint_batch_size, rng)
        images = augment(batch, rng).images if params.augment else batch.images
        with layers_in(params.precision, device):
            return autoencoder.loss(to_device(images, device))

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.keypoint_steps, f"keypoints, loss {loss:.4f}")

    schedule = _schedule(params, params.keypoint_steps, params.keypoint_learning_rate)
    weights = list(autoencoder.parameters())
    fit(autoencoder, weights, loss_at, schedule, work / "keypoints.checkpoint", after_step)
    return autoencoder.encoder.state_dict()


def fit_flow(
    params: TrainPriorParams,
    prior: BehavioralPrior,
    batches: TransitionBatches,
    work: Path,
    progress: Progress,
) -> None:
    """Maximise the likelihood of the data's actions, where the prior lies.

    The keypoints stay as they are.
    """
    prior.keypoints.requires_grad_(False)
    prior.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    some = batches.sample(NUM_INIT, step_generator(params.seed, 1, INIT_STREAM))
    backdrop = backdrop_of(some.images)
    some = some.to(prior.device)
    with torch.no_grad():
        if isinstance(prior.encoder, FovealEncoder):
            prior.encoder.init_from_data(some.images)
        context = prior.context(some.images, some.proprioception)
        prior.flow.init_from_data(some.actions, context)

    def loss_at(step: int) -> torch.Tensor:
        rng = step_generator(params.seed, step, FLOW_STREAM)
        batch = batches.sample(params.batch_size, rng)
        return negative_log_likelihood(
            prior, augment(batch, rng, backdrop) if params.augment else batch, params.precision
        )

    logged = batches.sample(NUM_LOGGED, step_generator(params.seed, 2, INIT_STREAM))
    log = likelihood_log(
        prior, logged, batches, params.batch_size, params.precision, work / "history.csv"
    )

    def after_step(step: int, loss: float) -> None:
        progress(step + 1, params.steps, f"flow, log-likelihood {-loss:.3f} a dimension")
        if (step + 1) % params.log_every == 0 or step + 1 == params.steps:
            log(step + 1)

    trained = [p for p in prior.parameters() if p.requires_grad]
    schedule = _schedule(params, params.steps, params.learning_rate)
    fit(prior, trained, loss_at, schedule, work / "flow.checkpoint", after_step)


def _schedule(params: TrainPriorParams, steps: int, learning_rate: float) -> Schedule:
    return Schedule(
        steps, learning_rate, params.gradient_clip, WEIGHT_DECAY, params.checkpoint_every
    )
