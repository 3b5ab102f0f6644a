"""Augmentations that stay true: what they do to the picture they do to the action."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from parrot_models.training.transitions import Batch

# The scene, the arm and the camera are symmetric about the plane y = 0. Under that reflection a
# position's y changes sign; a rotation vector is a pseudovector, so its x and z do.
MIRRORED_ACTION = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0])
# Position (x, y, z), quaternion (x, y, z, w), opening.
MIRRORED_PROPRIOCEPTION = torch.tensor([1.0, -1.0, 1.0, -1.0, 1.0, -1.0, 1.0, 1.0])

NUM_TINTS = 16  # different ways of painting in a batch
CONTRASTS, TINTS = (0.5, 1.3), (0.6, 1.3)
NEGATIVE_SHARE = 0.15  # of the ways: bright becomes dark


def mirror(batch: Batch) -> Batch:
    """The same transitions in the world reflected about y = 0."""
    return Batch(
        images=batch.images.flip(2),
        proprioception=batch.proprioception * MIRRORED_PROPRIOCEPTION,
        actions=batch.actions * MIRRORED_ACTION,
    )


def augment(batch: Batch, rng: np.random.Generator, backdrop: Tensor | None = None) -> Batch:
    """Mirror half of a batch, shuffle the colour channels of all of it, and paint it anew.

    Table and arm are grey, so shuffled channels show the same scene with objects of other colours:
    an encoder that has seen them does not mind what colour an unseen object has. There are but
    eight containers to learn from: painted ones keep it from knowing each by its colour and taking
    a ninth for an object.

    Args:
        batch: transitions.
        rng: of this step alone.
        backdrop: see `paint`; nothing is painted without one.
    """
    half = len(batch.images) // 2
    mirrored = mirror(Batch(batch.images[:half], batch.proprioception[:half], batch.actions[:half]))
    images = shuffle_colors(torch.cat([mirrored.images, batch.images[half:]]), rng)
    return Batch(
        images=images if backdrop is None else paint(images, backdrop, rng),
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


def backdrop_of(images: Tensor) -> Tensor:
    """The mean of uint8 pictures (B, S, S, 3), float32 (S, S, 3): a table with nothing on it."""
    return images.float().mean(0)


def paint(images: Tensor, backdrop: Tensor, rng: np.random.Generator) -> Tensor:
    """Change contrast and tint of all that differs from the backdrop.

    Args:
        images: uint8 (B, S, S, 3); row i is painted in the way i modulo NUM_TINTS.
        backdrop: float32 (S, S, 3), see `backdrop_of`.
        rng: of this step alone.
    """
    contrast = rng.uniform(*CONTRASTS, size=(NUM_TINTS, 1))
    contrast[rng.random((NUM_TINTS, 1)) < NEGATIVE_SHARE] *= -1.0
    gains = torch.from_numpy(contrast * rng.uniform(*TINTS, size=(NUM_TINTS, 3))).float()
    of_rows = gains[torch.arange(len(images)) % NUM_TINTS][:, None, None]
    return torch.addcmul(backdrop, images - backdrop, of_rows).clamp_(0, 255).to(torch.uint8)
