"""Random batches for training, and a split of the episodes into seen and held out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.manifest import MANIFEST, load_manifest
from parrot_models.training.transitions import Batch, load_privileged, load_transitions


class TransitionBatches:
    """Random batches for training, and the transitions of held-out episodes in order.

    Args:
        data: folder that `shard` wrote.
        cache: scratch folder for the decoded arrays (7 kB a transition with one image of 48 x 48).
            It is reused if it was made from the same data, and may be deleted when training ends.
        held_out_fraction: share of the episodes, at least one, never seen in training.
        progress: called after every episode decoded.

    Attributes:
        spec: of the data.
        statistics: of the data, as the manifest has them.
        transitions: all there are.
        train_rows, held_out_rows: which of them are learned from, and which are not.

    Raises:
        UserError: a shard or the manifest is missing, truncated or altered, or there are fewer
            than two episodes.
    """

    def __init__(
        self, data: Path, cache: Path, held_out_fraction: float, progress: Progress = silent
    ) -> None:
        manifest = load_manifest(data, "shards")
        hashes = [entry.content_hash for entry in manifest.entries(data)]
        if len(hashes) < 2:
            raise UserError(
                f"{data / MANIFEST} lists {len(hashes)} episodes, training needs one to learn from "
                "and one to hold out: generate more episodes."
            )
        held_out = held_out_episodes(hashes, held_out_fraction)
        self._folder = data
        self.spec, self.statistics = manifest.spec, manifest.statistics
        self.transitions = load_transitions(data, cache, progress)
        is_held_out = np.isin(self.transitions.episodes, held_out)
        self.train_rows: NDArray[np.int64] = np.flatnonzero(~is_held_out)
        self.held_out_rows: NDArray[np.int64] = np.flatnonzero(is_held_out)

    def sample(self, batch_size: int, generator: np.random.Generator) -> Batch:
        """Draw training transitions uniformly, with replacement."""
        return self.transitions.gather(self.draw_rows(batch_size, generator))

    def sample_images(
        self, batch_size: int, generator: np.random.Generator
    ) -> dict[str, torch.Tensor]:
        """The images of training transitions alone, by name, drawn as `sample` draws."""
        rows = self.draw_rows(batch_size, generator)
        return self.transitions.gather_observations(rows, self.spec.images)

    def held_out(self, batch_size: int) -> Iterator[Batch]:
        """Go once through the held-out transitions in order; the last batch may be smaller."""
        for start in range(0, len(self.held_out_rows), batch_size):
            yield self.transitions.gather(self.held_out_rows[start : start + batch_size])

    def privileged(self, name: str) -> NDArray[Any]:
        """A privileged array of all transitions, (N, ...); see `load_privileged`."""
        return load_privileged(self._folder, name)

    def draw_rows(self, batch_size: int, generator: np.random.Generator) -> NDArray[np.int64]:
        """Rows of training transitions, drawn uniformly, with replacement."""
        return self.train_rows[generator.integers(len(self.train_rows), size=batch_size)]


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
