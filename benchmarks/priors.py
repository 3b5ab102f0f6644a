"""An untrained prior of the architecture that params.yaml asks for, and its training step.

Untrained weights cost what trained ones cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from benchmarks.setting import Values
from parrot_models.prior.architecture import prior_architecture
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.training.fitting import WEIGHT_DECAY
from parrot_models.training.transitions import Batch

SEED = 0
NUM_INIT = 64  # observations that scales are taken from


def untrained_prior(values: Values) -> BehavioralPrior:
    """Weights drawn from a seed of its own; scales taken from some batch."""
    architecture = prior_architecture(values.train_prior, values.keypoints, values.spec)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        prior = BehavioralPrior(architecture)
    some = some_batch(values, NUM_INIT)
    prior.init_from_data(some.observations, some.actions)
    return prior


def prior_in_training(values: Values) -> BehavioralPrior:
    """The same as `fit_flow` has it: keypoints frozen, in the memory order for convolutions."""
    prior = untrained_prior(values)
    if prior.keypoints is not None:
        prior.keypoints.requires_grad_(False)
    prior.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    return prior


def some_batch(values: Values, batch_size: int) -> Batch:
    """Transitions of the right shapes; what they hold costs nothing."""
    generator, spec = torch.Generator().manual_seed(SEED), values.spec
    observations: dict[str, Tensor] = {}
    for name, image in spec.images.items():
        shape = (batch_size, *image.shape)
        observations[name] = torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)
    for name, dim in spec.vectors.items():
        # Where the gripper may be; the foveal encoder projects it into the image.
        observations[name] = 0.1 * torch.rand(batch_size, dim, generator=generator)
        observations[name][:, 0] += 0.25
    actions = 0.5 * torch.randn(batch_size, spec.action.dim, generator=generator).clamp(-2, 2)
    return Batch(observations, actions)


def training_step(
    parameters: Iterable[nn.Parameter], loss: Callable[[], Tensor], learning_rate: float
) -> Callable[[], None]:
    """One step of `fit`, for any model: AdamW, gradients clipped; ours and rivals' alike."""
    trained = [parameter for parameter in parameters if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=learning_rate, weight_decay=WEIGHT_DECAY, fused=True)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        value = loss()
        value.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()

    return step
