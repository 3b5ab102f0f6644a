"""Random batches of whole episodes, and of trajectories: their actions, and what was seen at first.

Episodes differ in length. In a batch shorter ones are filled up at their ends with zeros, and
`is_step` says which steps there are: no filled step may change what is learned.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_models.training.augment import Augmentation
from parrot_models.training.batches import Batches
from parrot_models.training.transitions import Batch

Rows = NDArray[np.int64]

MOST_SEEN = 1024  # steps of held-out episodes that are seen at once, but for a longer episode


@dataclass(frozen=True, eq=False)
class EpisodeBatch:
    """Episodes of up to T steps as tensors, with what is seen at up to M of them.

    Attributes:
        vectors: float32 (B, T, D) by name.
        actions: float32 (B, T, A), in the robot's units.
        is_step: bool (B, T), true up to an episode's end.
        steps: int64 (B, M), at which steps images are looked at, increasing.
        is_seen: bool (B, M), which of these are: an episode may have fewer.
        images: uint8 (B, M, H, W, 3) by name.
    """

    vectors: Mapping[str, Tensor]
    actions: Tensor
    is_step: Tensor
    steps: Tensor
    is_seen: Tensor
    images: Mapping[str, Tensor]

    def at_steps(self, of_episodes: Tensor) -> Tensor:
        """Rows (B * M, ...) of values (B, T, ...) at the steps that are seen."""
        return at_steps(of_episodes, self.steps)

    def seen(self) -> dict[str, Tensor]:
        """The observations of the steps that are seen, (B * M, ...) by name."""
        images = {name: values.flatten(0, 1) for name, values in self.images.items()}
        return {**images, **{name: self.at_steps(values) for name, values in self.vectors.items()}}

    def weights(self) -> Tensor:
        """For how many steps each of the steps seen stands, float32 (B * M,); 0 of none.

        As many in all as there are steps, so that what is seen of an episode stands for all of it.
        """
        shares = self.is_step.sum(1) / self.is_seen.sum(1)
        return (self.is_seen * shares[:, None]).flatten()


def at_steps(of_episodes: Tensor, steps: Tensor) -> Tensor:
    """Values (B, T, ...) at steps (B, M): (B * M, ...)."""
    return of_episodes[torch.arange(len(steps))[:, None], steps].flatten(0, 1)


class EpisodeBatches:
    """The episodes of some transitions, drawn whole; those held out are the transitions' own.

    Images are what costs: an encoder that sees a few steps of many episodes learns as much from
    each image, of more scenes, than one that sees every step of a few. Where there are none, every
    step is seen.

    Args:
        batches: transitions, those of an episode in a row.
    """

    def __init__(self, batches: Batches) -> None:
        self._batches, self._spec, self.ranks = batches, batches.spec, batches.ranks
        self._version = -1
        self._look()

    def sample(self, num_episodes: int, num_images: int, rng: np.random.Generator) -> EpisodeBatch:
        """Draw training episodes with replacement, and steps of each without."""

        def drawn() -> EpisodeBatch:
            self._look()
            chosen = self._batches.draw(len(self._train), num_episodes, rng)
            return self._gather(self._train[chosen], num_images, rng)

        return self._batches.shared(drawn)

    def share(
        self, step: int, num_episodes: int, num_images: int, rng: np.random.Generator
    ) -> EpisodeBatch:
        """This process's part of the batch of a step."""
        self._batches.move_to(step, num_episodes * num_images)
        self._look()
        chosen = self._batches.draw_share(len(self._train), num_episodes, rng)
        return self._gather(self._train[chosen], num_images, self.ranks.own(rng))

    def held_out(self, num_episodes: int) -> Iterator[EpisodeBatch]:
        """Go once through the held-out episodes, seeing all; fewer at once where they are long."""
        lengths = self._held_out[:, 1] - self._held_out[:, 0]
        start = 0
        while start < len(lengths):
            padded = np.maximum.accumulate(lengths[start : start + num_episodes])
            sizes = padded * np.arange(1, len(padded) + 1)
            stop = start + max(1, int((sizes <= MOST_SEEN).sum()))
            yield self._gather(self._held_out[start:stop])
            start = stop

    def _look(self) -> None:
        """See which episodes there are, if others have come."""
        batches = self._batches
        if self._version == batches.version:
            return
        self._version, self._data = batches.version, batches.transitions
        self._train = _ranges(batches.transitions.episodes, batches.train_rows)
        self._held_out = _ranges(batches.transitions.episodes, batches.held_out_rows)

    def _gather(
        self,
        ranges: Rows,
        num_images: int | None = None,
        rng: np.random.Generator | None = None,
    ) -> EpisodeBatch:
        starts, lengths = ranges[:, 0], ranges[:, 1] - ranges[:, 0]
        every = np.arange(lengths.max())
        is_step = every < lengths[:, None]
        steps = np.tile(every, (len(ranges), 1))
        if rng is not None and num_images is not None and self._spec.images:
            # Random keys, those of no step last: the first are the steps to see.
            keys = np.where(is_step, rng.random(is_step.shape), 2.0)
            steps = np.sort(np.argsort(keys, 1)[:, :num_images], 1)
        is_seen = steps < lengths[:, None]
        rows, seen = starts[:, None] + every, starts[:, None] + steps
        observations = self._data.observations
        return EpisodeBatch(
            vectors={k: _filled(observations[k], rows, is_step) for k in self._spec.vectors},
            actions=_filled(self._data.actions, rows, is_step),
            is_step=torch.from_numpy(is_step),
            steps=torch.from_numpy(steps),
            is_seen=torch.from_numpy(is_seen),
            images={k: _filled(observations[k], seen, is_seen) for k in self._spec.images},
        )


def augment_episodes(
    batch: EpisodeBatch, augmentation: Augmentation, rng: np.random.Generator
) -> EpisodeBatch:
    """Augment episodes as their transitions would be; half of the episodes are mirrored."""
    mirrored = augmentation.mirrored({**batch.vectors, **batch.images})
    seen = augmentation.noisy(augmentation.colored(mirrored, rng), rng)
    return replace(
        batch,
        vectors={name: seen[name] for name in batch.vectors},
        actions=augmentation.mirrored_actions(batch.actions),
        images={name: seen[name] for name in batch.images},
    )


@dataclass(frozen=True, eq=False)
class TrajectoryBatch:
    """Trajectories of up to K steps as tensors.

    Attributes:
        first: the observations of their first steps, (B, ...) by name; its actions are those of all
            steps, float32 (B, K, A) in the robot's units.
        is_step: bool (B, K), true up to the end of an episode.
    """

    first: Batch
    is_step: Tensor

    @property
    def observations(self) -> Mapping[str, Tensor]:
        """Of the first steps, (B, ...) by name."""
        return self.first.observations

    @property
    def actions(self) -> Tensor:
        """Of all steps, (B, K, A)."""
        return self.first.actions


class TrajectoryBatches:
    """Trajectories of K steps within the episodes of some transitions; fewer where one ends.

    Args:
        batches: transitions, those of an episode in a row; episodes held out stay so.
        num_steps: K.
    """

    def __init__(self, batches: Batches, num_steps: int) -> None:
        self.num_steps, self._batches = num_steps, batches
        self._version = -1
        self._look()

    def sample(self, batch_size: int, rng: np.random.Generator) -> TrajectoryBatch:
        """Draw trajectories of training episodes with replacement, from any step on.

        That is, from none beyond the last at which an agent decides that decides at every K-th. It
        does so at these alone, but no motion is tied to the clock, and a chunk from between two
        decisions is one more to learn from.
        """

        def drawn() -> TrajectoryBatch:
            self._look()
            return self._gather(self._train[self._batches.draw(len(self._train), batch_size, rng)])

        return self._batches.shared(drawn)

    def share(self, step: int, batch_size: int, rng: np.random.Generator) -> TrajectoryBatch:
        """This process's part of the batch of a step."""
        self._batches.move_to(step, batch_size)
        self._look()
        chosen = self._batches.draw_share(len(self._train), batch_size, rng)
        return self._gather(self._train[chosen])

    def held_out(self, batch_size: int) -> Iterator[TrajectoryBatch]:
        """Go once through the held-out episodes, each cut into trajectories, first to last."""
        for start in range(0, len(self._held_out), batch_size):
            yield self._gather(self._held_out[start : start + batch_size])

    def _look(self) -> None:
        """See which episodes there are, if others have come."""
        batches = self._batches
        if self._version == batches.version:
            return
        self._version, self._data = batches.version, batches.transitions
        trained = _ranges(batches.transitions.episodes, batches.train_rows)
        held_out = _ranges(batches.transitions.episodes, batches.held_out_rows)
        self._train = _cuts(trained, self.num_steps, 1)
        self._held_out = _cuts(held_out, self.num_steps, self.num_steps)

    def _gather(self, ranges: Rows) -> TrajectoryBatch:
        rows = ranges[:, :1] + np.arange(self.num_steps)
        is_step = rows < ranges[:, 1:]
        actions = _filled(self._data.actions, rows, is_step)
        first = self._data.gather(ranges[:, 0])
        return TrajectoryBatch(Batch(first.observations, actions), torch.from_numpy(is_step))


def _filled(array: NDArray[Any], rows: Rows, is_there: NDArray[np.bool_]) -> Tensor:
    """Rows (B, T) of an array, zeros where there is nothing."""
    values = np.take(array, np.where(is_there, rows, rows[:, :1]), axis=0)
    values[~is_there] = 0
    return torch.from_numpy(values)


def _ranges(episodes: NDArray[np.int32], rows: Rows) -> Rows:
    """First row of each episode among rows, and the one after its last: (E, 2)."""
    _, first, counts = np.unique(episodes[rows], return_index=True, return_counts=True)
    starts = rows[first]
    return np.stack([starts, starts + counts], 1)


def _cuts(ranges: Rows, num_steps: int, stride: int) -> Rows:
    """Ranges of up to `num_steps` rows, which begin a stride after one another in ranges (E, 2).

    None begins after the last of those that would tile the range.
    """
    cuts = [np.empty((0, 2), np.int64)]
    for start, end in ranges:
        last = start + (end - 1 - start) // num_steps * num_steps
        begins = np.arange(start, last + 1, stride)
        cuts.append(np.stack([begins, np.minimum(begins + num_steps, end)], 1))
    return np.concatenate(cuts)
