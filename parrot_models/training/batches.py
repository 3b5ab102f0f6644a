"""Random batches for training, and a split of the episodes into seen and held out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.manifest import MANIFEST, ShardsManifest, load_manifest
from parrot_models.training.ranks import ALONE, Ranks
from parrot_models.training.transitions import (
    Batch,
    Transitions,
    decoded_transitions,
    load_privileged,
    load_transitions,
)

T = TypeVar("T")


class Batches:
    """Transitions to draw random batches from, and those of held-out episodes in order.

    Attributes:
        spec: of the data.
        statistics: of the data, as the manifest has them.
        transitions: all that can be drawn now, and those held out.
        train_rows, held_out_rows: which of them are learned from, and which are not.
        ranks: the processes that learn from them together.
        version: another number where there are other transitions.
    """

    def __init__(
        self,
        manifest: ShardsManifest,
        transitions: Transitions,
        train_rows: NDArray[np.int64],
        held_out_rows: NDArray[np.int64],
        ranks: Ranks,
    ) -> None:
        self.spec, self.statistics = manifest.spec, manifest.statistics
        self.transitions, self.ranks = transitions, ranks
        self.train_rows, self.held_out_rows = train_rows, held_out_rows
        self.version = 0

    def move_to(self, step: int, batch_size: int) -> None:
        """Have those transitions that the batch of a step is drawn from, of so many in all."""

    def shared(self, make: Callable[[], T]) -> T:
        """What is drawn once, and has to be the same in all processes."""
        return make()

    def sample(self, batch_size: int, generator: np.random.Generator) -> Batch:
        """Draw training transitions uniformly, with replacement; the same in all processes."""
        return self.transitions.gather(self.draw_rows(batch_size, generator))

    def share(self, step: int, batch_size: int, generator: np.random.Generator) -> Batch:
        """This process's part of the batch of a step."""
        rows = self.share_rows(step, batch_size, generator)  # after it there may be others
        return self.transitions.gather(rows)

    def share_images(
        self, step: int, batch_size: int, generator: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """The images alone, by name, of what `share` would draw."""
        rows = self.share_rows(step, batch_size, generator)
        return self.transitions.gather_observations(rows, self.spec.images)

    def held_out(self, batch_size: int) -> Iterator[Batch]:
        """Go once through the held-out transitions in order; the last batch may be smaller."""
        for start in range(0, len(self.held_out_rows), batch_size):
            yield self.transitions.gather(self.held_out_rows[start : start + batch_size])

    def draw_rows(self, batch_size: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Rows of training transitions, drawn uniformly, with replacement."""
        return self.train_rows[self.draw(len(self.train_rows), batch_size, generator)]

    def share_rows(
        self, step: int, batch_size: int, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """This process's part of the rows of a step's batch."""
        self.move_to(step, batch_size)
        return self.train_rows[self.draw_share(len(self.train_rows), batch_size, generator)]

    @staticmethod
    def draw(count: int, size: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Draw so many of `count` things."""
        return generator.integers(count, size=size)

    def draw_share(
        self, count: int, size: int, generator: np.random.Generator
    ) -> NDArray[np.int64]:
        """This process's part of so many of `count` things, which all processes have."""
        return self.ranks.part(self.draw(count, size, generator))

    def privileged(self, name: str) -> NDArray[Any]:
        """A privileged array of all transitions, (N, ...)."""
        raise NotImplementedError(name)


class TransitionBatches(Batches):
    """All transitions of a folder's shards, at any time.

    Args:
        data: folder that `shard` wrote.
        cache: scratch folder for the decoded arrays (7 kB a transition with one image of 48 x 48).
            It is reused if it was made from the same data, and may be deleted when training ends.
        held_out_fraction: share of the episodes, at least one, never seen in training.
        progress: called after every episode decoded.
        ranks: the processes that learn from them together: the first decodes, for all.

    Raises:
        UserError: a shard or the manifest is missing, truncated or altered, or there are fewer
            than two episodes.
    """

    def __init__(
        self,
        data: Path,
        cache: Path,
        held_out_fraction: float,
        progress: Progress = silent,
        ranks: Ranks = ALONE,
    ) -> None:
        manifest = load_manifest(data, "shards")
        held_out = held_out_of(manifest, data, held_out_fraction)
        self._folder = data
        if ranks.is_first:
            transitions = load_transitions(data, cache, progress)
            ranks.wait()
        else:
            ranks.wait()
            transitions = decoded_transitions(cache, manifest)
        is_held_out = np.isin(transitions.episodes, held_out)
        rows = np.flatnonzero(~is_held_out), np.flatnonzero(is_held_out)
        super().__init__(manifest, transitions, *rows, ranks)

    def privileged(self, name: str) -> NDArray[Any]:
        """A privileged array of all transitions, (N, ...); see `load_privileged`."""
        return load_privileged(self._folder, name)


def held_out_of(manifest: ShardsManifest, folder: Path, fraction: float) -> list[int]:
    """The places of the episodes of a dataset to hold out; see `held_out_episodes`.

    Args:
        manifest: of the dataset.
        folder: where its entries lie.
        fraction: of all episodes.

    Raises:
        UserError: there are fewer than two.
    """
    hashes = [entry.content_hash for entry in manifest.entries(folder)]
    if len(hashes) < 2:
        raise UserError(
            f"{folder / MANIFEST} lists {len(hashes)} episodes, training needs one to learn from "
            "and one to hold out: generate more episodes."
        )
    return held_out_episodes(hashes, fraction)


def held_out_episodes(content_hashes: Sequence[str], fraction: float) -> list[int]:
    """Choose the places of the episodes to hold out: those with the lowest content hashes.

    The choice depends on contents alone, not on order, and hardly moves when a dataset grows. At
    least one episode is held out and, of two or more, at least one is left.

    Raises:
        ValueError: the fraction is not between 0 and 1 (exclusive).
    """
    if not 0.0 < fraction < 1.0:
        raise ValueError(f"the held-out fraction must lie between 0 and 1, got {fraction}")
    num_held_out = min(max(1, round(fraction * len(content_hashes))), len(content_hashes) - 1)
    order = sorted(range(len(content_hashes)), key=lambda place: content_hashes[place])
    return sorted(order[:num_held_out])
