"""Batches of trajectories: the actions of consecutive steps, and what was seen before the first."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from parrot_data.errors import UserError
from parrot_models.baselines.episodes import Rows, episode_starts
from parrot_models.training.batches import TransitionBatches
from parrot_models.training.transitions import Batch


class TrajectoryBatches:
    """Trajectories of K steps within the episodes of some transitions.

    A trajectory is a row of a `Batch` whose actions are (B, K, 7); its image and proprioception are
    those of its first step. What mirrors an action mirrors a trajectory: `augment` works on both.

    Attributes:
        num_steps: K, the steps of a trajectory.
        train_starts, held_out_starts: rows of the transitions with which episodes begin.

    Args:
        batches: transitions, those of an episode in a row; episodes held out stay so.
        num_steps: K; the episodes' length is a multiple of it.

    Raises:
        UserError: episodes are not all of one length, or K does not divide it.
    """

    def __init__(self, batches: TransitionBatches, num_steps: int) -> None:
        self.num_steps = num_steps
        self._transitions = batches.transitions
        episodes = batches.transitions.episodes
        self.train_starts, trained = episode_starts(episodes, batches.train_rows)
        self.held_out_starts, held_out = episode_starts(episodes, batches.held_out_rows)
        lengths = trained | held_out
        self._episode_steps = min(lengths)
        if len(lengths) > 1 or self._episode_steps % num_steps:
            raise UserError(
                f"trajectories of {num_steps} steps do not tile episodes of "
                f"{', '.join(map(str, sorted(lengths)))} steps: set "
                "pretrain.trajectories.chunk_steps to a divisor of environment.episode_steps"
            )

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Draw trajectories of training episodes with replacement, from any step on.

        An agent decides at every K-th step alone, but no motion is tied to the clock, and a chunk
        from between two decisions is one more to learn from.
        """
        starts = self.train_starts[rng.integers(len(self.train_starts), size=batch_size)]
        offsets = rng.integers(self._episode_steps - self.num_steps + 1, size=batch_size)
        return self._gather(starts + offsets)

    def held_out(self, batch_size: int) -> Iterator[Batch]:
        """Go once through the held-out episodes, each cut into trajectories, first to last."""
        cuts = np.arange(0, self._episode_steps, self.num_steps)
        rows = (self.held_out_starts[:, None] + cuts).ravel()
        for start in range(0, len(rows), batch_size):
            yield self._gather(rows[start : start + batch_size])

    def _gather(self, rows: Rows) -> Batch:
        first = self._transitions.gather(rows)
        steps = rows[:, None] + np.arange(self.num_steps)
        actions = torch.from_numpy(np.take(self._transitions.actions, steps, axis=0))
        return Batch(first.images, first.proprioception, actions)
