"""Random batches of whole episodes, with pictures of a few of their steps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.errors import UserError
from parrot_models.training.augment import (
    MIRRORED_ACTION,
    MIRRORED_PROPRIOCEPTION,
    paint,
    shuffle_colors,
)
from parrot_models.training.batches import TransitionBatches

Rows = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """Episodes of T steps as tensors, with pictures of M of them.

    Attributes:
        proprioception: float32 (B, T, 8).
        actions: float32 (B, T, 7).
        steps: int64 (B, M), which steps the pictures are of, increasing.
        images: uint8 (B, M, S, S, 3).
    """

    proprioception: Tensor
    actions: Tensor
    steps: Tensor
    images: Tensor

    def at_steps(self, of_episodes: Tensor) -> Tensor:
        """Rows (B * M, ...) of values (B, T, ...) at the steps that pictures are of."""
        return at_steps(of_episodes, self.steps)


def at_steps(of_episodes: Tensor, steps: Tensor) -> Tensor:
    """Values (B, T, ...) at steps (B, M): (B * M, ...)."""
    return of_episodes[torch.arange(len(steps))[:, None], steps].flatten(0, 1)


class EpisodeBatches:
    """The episodes of some transitions, drawn whole; those held out are the transitions' own.

    Pictures are what costs: an encoder that sees a few steps of many episodes learns as much from
    each picture, of more scenes, than one that sees every step of a few.

    Args:
        batches: transitions, those of an episode in a row.

    Raises:
        UserError: not all episodes have the same number of steps.
    """

    def __init__(self, batches: TransitionBatches) -> None:
        self._transitions = batches.transitions
        self.train_starts, steps = episode_starts(batches.transitions.episodes, batches.train_rows)
        self.held_out_starts, others = episode_starts(
            batches.transitions.episodes, batches.held_out_rows
        )
        lengths = steps | others
        if len(lengths) != 1:
            raise UserError(
                f"episodes of {sorted(lengths)} steps cannot be batched whole: generate all with "
                "one environment.episode_steps"
            )
        self.num_steps = lengths.pop()

    def sample(
        self, num_episodes: int, num_pictures: int, rng: np.random.Generator
    ) -> EpisodeBatch:
        """Draw training episodes with replacement, and steps of each without."""
        starts = self.train_starts[rng.integers(len(self.train_starts), size=num_episodes)]
        return self._gather(starts, num_pictures, rng)

    def held_out(self, num_episodes: int) -> Iterator[EpisodeBatch]:
        """Go once through the held-out episodes, with all pictures; the last batch may be small."""
        for start in range(0, len(self.held_out_starts), num_episodes):
            yield self._gather(self.held_out_starts[start : start + num_episodes], self.num_steps)

    def _gather(
        self, starts: Rows, num_pictures: int, rng: np.random.Generator | None = None
    ) -> EpisodeBatch:
        every = np.arange(self.num_steps)
        steps = np.tile(every, (len(starts), 1))
        if rng is not None and num_pictures < self.num_steps:
            steps = np.sort(rng.permuted(steps, axis=1)[:, :num_pictures], axis=1)
        rows, seen = starts[:, None] + every, starts[:, None] + steps
        data = self._transitions
        return EpisodeBatch(
            proprioception=torch.from_numpy(np.take(data.proprioception, rows, axis=0)),
            actions=torch.from_numpy(np.take(data.actions, rows, axis=0)),
            steps=torch.from_numpy(steps),
            images=torch.from_numpy(np.take(data.images, seen, axis=0)),
        )


def augment_episodes(
    batch: EpisodeBatch, rng: np.random.Generator, backdrop: Tensor
) -> EpisodeBatch:
    """Mirror half of the episodes, shuffle colours and paint all pictures: see `augment`.

    Args:
        batch: episodes.
        rng: of this step alone.
        backdrop: see `paint`.
    """
    half = len(batch.images) // 2
    images = torch.cat([batch.images[:half].flip(3), batch.images[half:]])
    colored = shuffle_colors(images.flatten(0, 1), rng)
    return EpisodeBatch(
        proprioception=_half_times(batch.proprioception, MIRRORED_PROPRIOCEPTION),
        actions=_half_times(batch.actions, MIRRORED_ACTION),
        steps=batch.steps,
        images=paint(colored, backdrop, rng).view_as(images),
    )


def _half_times(values: Tensor, signs: Tensor) -> Tensor:
    half = len(values) // 2
    return torch.cat([values[:half] * signs, values[half:]])


def episode_starts(episodes: NDArray[np.int32], rows: Rows) -> tuple[Rows, set[int]]:
    """First row of each episode among rows, and the lengths that occur."""
    _, first, counts = np.unique(episodes[rows], return_index=True, return_counts=True)
    return rows[first], set(counts.tolist())
