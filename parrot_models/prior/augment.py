"""Augmentations that stay true: what they do to the picture they do to the action."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from parrot_models.prior.transitions import Batch

# The scene, the arm and the camera are symmetric about the plane y = 0. Under that reflection a
# position's y changes sign; a rotation vector is a pseudovector, so its x and z do.
MIRRORED_ACTION = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
# Position (x, y, z), quaternion (x, y, z, w), opening.
MIRRORED_PROPRIOCEPTION = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0])


def mirror(batch: Batch) -> Batch:
    """The same transitions in the world reflected about y = 0."""
    return Batch(
        images=batch.images.flip(2),
        proprioception=batch.proprioception * MIRRORED_PROPRIOCEPTION,
        actions=batch.actions * MIRRORED_ACTION,
    )


def augment(batch: Batch, rng: np.random.Generator) -> Batch:
    """Mirror half of a batch and shuffle the colour channels of all of it.

    Table and arm are grey, so shuffled channels show the same scene with objects of other colours:
    an encoder that has seen them does not mind what colour an unseen object has.

    Args:
        batch: transitions.
        rng: of this step alone.
    """
    half = len(batch.images) // 2
    mirrored = mirror(Batch(batch.images[:half], batch.proprioception[:half], batch.actions[:half]))
    images = torch.cat([mirrored.images, batch.images[half:]])
    return Batch(
        images=shuffle_colors(images, rng),
        proprioception=torch.cat([mirrored.proprioception, batch.proprioception[half:]]),
        actions=torch.cat([mirrored.actions, batch.actions[half:]]),
    )


def shuffle_colors(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Permute the channels of uint8 pictures (B, S, S, 3), one permutation for every eighth row."""
    shuffled = images.clone()
    for start in range(8):
        permutation = torch.from_numpy(rng.permutation(3))
        shuffled[start::8] = images[start::8][..., permutation]
    return shuffled
