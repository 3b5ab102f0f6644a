"""Augmentations that stay true: what they do to the images they do to vectors and actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.networks.observations import Observations
from parrot_models.training.transitions import Batch

NUM_SHUFFLES = 8  # different permutations of the colour channels in a batch
NUM_TINTS = 16  # different ways of painting in a batch
CONTRASTS, TINTS = (0.5, 1.3), (0.6, 1.3)
NEGATIVE_SHARE = 0.15  # of the ways: bright becomes dark


@dataclass(frozen=True, eq=False)
class Augmentation:
    """What is done to batches before a model learns from them; made by `augmentation_of`.

    "mirror" reflects half of a batch as the spec's symmetry says, and flips all its images left to
    right. "colors" shuffles the colour channels of all images and, once the backdrops are known,
    paints what stands before them. Where table and arm are grey, shuffled channels show the same
    scene with objects of other colours: an encoder that has seen them does not mind what colour an
    unseen object has. Where there are but few containers to learn from, painted ones keep it from
    knowing each by its colour and taking another for an object.

    Attributes:
        signs, action_signs: of vectors by name, and of the action; None without "mirror".
        has_colors: whether "colors" is done.
        images: names of the images.
        noise: standard deviation of the noise on vectors, in units of their spreads.
        backdrops: the mean of each image, float32 (H, W, 3): see `backdrop_of`.
        spreads: the standard deviation of each vector's numbers, (D,).
    """

    signs: Mapping[str, Tensor] | None
    action_signs: Tensor | None
    has_colors: bool
    images: Sequence[str]
    noise: float
    backdrops: Mapping[str, Tensor]
    spreads: Mapping[str, Tensor]

    def informed_by(self, observations: Observations) -> Augmentation:
        """The same, which now knows backdrops and spreads: those of some observations (B, ...)."""
        painted = self.images if self.has_colors else ()
        noisy = [name for name in observations if self.noise and name not in self.images]
        return replace(
            self,
            backdrops={name: backdrop_of(observations[name]) for name in painted},
            spreads={name: observations[name].std(0, correction=0) for name in noisy},
        )

    def __call__(self, batch: Batch, rng: np.random.Generator) -> Batch:
        """An augmented batch of transitions.

        Args:
            batch: transitions.
            rng: of this step alone.
        """
        mirrored = self.mirrored(batch.observations), self.mirrored_actions(batch.actions)
        return Batch(self.noisy(self.colored(mirrored[0], rng), rng), mirrored[1])

    def mirrored(self, observations: Observations) -> dict[str, Tensor]:
        """Observations whose first half of rows is reflected.

        Args:
            observations: by name, images (B, ..., H, W, 3) and vectors (B, ..., D).
        """
        if self.signs is None:
            return dict(observations)
        return {
            name: flip_half(values) if name in self.images else sign_half(values, self.signs[name])
            for name, values in observations.items()
        }

    def mirrored_actions(self, actions: Tensor) -> Tensor:
        """Actions (B, ..., A) whose first half of rows is reflected."""
        return actions if self.action_signs is None else sign_half(actions, self.action_signs)

    def colored(self, observations: Observations, rng: np.random.Generator) -> dict[str, Tensor]:
        """Observations with all images shuffled, and painted where backdrops are known.

        Args:
            observations: by name, images (B, ..., H, W, 3).
            rng: of this step alone.
        """
        changed = dict(observations)
        for name in self.images if self.has_colors else ():
            rows = shuffle_colors(changed[name].flatten(0, -4), rng)
            if name in self.backdrops:
                rows = paint(rows, self.backdrops[name], rng)
            changed[name] = rows.reshape(changed[name].shape)
        return changed

    def noisy(self, observations: Observations, rng: np.random.Generator) -> dict[str, Tensor]:
        """Observations with noise on the vectors whose spreads are known.

        Args:
            observations: by name, vectors (B, ..., D).
            rng: of this step alone.
        """
        changed = dict(observations)
        for name, spread in self.spreads.items():
            drawn = rng.standard_normal(changed[name].shape, np.float32)
            changed[name] = changed[name] + self.noise * spread * torch.from_numpy(drawn)
        return changed


def augmentation_of(
    names: Sequence[str], spec: EpisodeSpec, section: str, noise: float = 0.0
) -> Augmentation:
    """What params ask for, as a spec allows; not informed yet.

    Args:
        names: "mirror", "colors", both or neither.
        spec: of the data.
        section: where in params.yaml a user chose it, for the errors.
        noise: see `Augmentation`.

    Raises:
        UserError: the spec lacks what one of them needs.
    """
    signs = action_signs = None
    if "mirror" in names:
        if spec.mirror is None:
            raise UserError(
                f"{section}.augment names mirror, and the data's spec does not say what a mirror "
                f"does to vectors and actions (mirror): take mirror out of {section}.augment"
            )
        signs = {name: torch.tensor(values) for name, values in spec.mirror.vectors.items()}
        action_signs = torch.tensor(spec.mirror.action)
    if "colors" in names and not spec.images:
        raise UserError(
            f"{section}.augment names colors, and the data have no images: take colors out of "
            f"{section}.augment"
        )
    images = tuple(spec.images)
    return Augmentation(signs, action_signs, "colors" in names, images, noise, {}, {})


def flip_half(images: Tensor) -> Tensor:
    """Images (B, ..., H, W, 3), the first half of the rows flipped left to right."""
    half = len(images) // 2
    return torch.cat([images[:half].flip(-2), images[half:]])


def sign_half(values: Tensor, signs: Tensor) -> Tensor:
    """Numbers (B, ..., D), those of the first half of the rows times signs (D,)."""
    half = len(values) // 2
    return torch.cat([values[:half] * signs, values[half:]])


def shuffle_colors(images: Tensor, rng: np.random.Generator) -> Tensor:
    """Permute the channels of uint8 images (B, H, W, 3), one permutation for every eighth row."""
    shuffled = images.clone()
    for start in range(NUM_SHUFFLES):
        permutation = torch.from_numpy(rng.permutation(3))
        shuffled[start::NUM_SHUFFLES] = images[start::NUM_SHUFFLES][..., permutation]
    return shuffled


def backdrop_of(images: Tensor) -> Tensor:
    """The mean of uint8 images (B, H, W, 3), float32 (H, W, 3): a table with nothing on it."""
    return images.float().mean(0)


def paint(images: Tensor, backdrop: Tensor, rng: np.random.Generator) -> Tensor:
    """Change contrast and tint of all that differs from the backdrop.

    Args:
        images: uint8 (B, H, W, 3); row i is painted in the way i modulo NUM_TINTS.
        backdrop: float32 (H, W, 3), see `backdrop_of`.
        rng: of this step alone.
    """
    contrast = rng.uniform(*CONTRASTS, size=(NUM_TINTS, 1))
    contrast[rng.random((NUM_TINTS, 1)) < NEGATIVE_SHARE] *= -1.0
    gains = torch.from_numpy(contrast * rng.uniform(*TINTS, size=(NUM_TINTS, 3))).float()
    of_rows = gains[torch.arange(len(images)) % NUM_TINTS][:, None, None]
    return torch.addcmul(backdrop, images - backdrop, of_rows).clamp_(0, 255).to(torch.uint8)
