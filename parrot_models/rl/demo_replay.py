"""A memory that never forgets its first episodes, and draws half of every batch from them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_models.rl.batch import Batch, Observation
from parrot_models.rl.replay import ReplayBuffer


class DemoReplay:
    """Symmetric sampling of RLPD (Ball et al., 2023, section 4.1): half demonstrations, half own.

    RLPD's demonstrations are a dataset; here they are the first episodes lived, which whoever
    makes the learner sees to it that the prior drives (`Learner.guided_episodes`), failures
    included. Open in the original, and so chosen: the other half is drawn from all that was lived,
    these episodes among them, as long as there is room.

    Args:
        recent: empty; holds everything, the oldest is overwritten.
        kept: empty, and large enough for the first episodes; else like `recent`.
        num_kept: episodes kept, counted across lanes.
        num_lanes: environments that are lived in at the same time.

    Attributes:
        capacity: of `recent`.
    """

    def __init__(
        self, recent: ReplayBuffer, kept: ReplayBuffer, num_kept: int, num_lanes: int = 1
    ) -> None:
        self._recent, self._kept = recent, kept
        self._num_kept, self.capacity = num_kept, recent.capacity
        self._num_begun = [0] * num_lanes

    def __len__(self) -> int:
        """Number of transitions that can be drawn."""
        return len(self._recent)

    def begin(self, observation: Observation, lane: int = 0) -> None:
        """Start an episode with the observation of a reset."""
        self._num_begun[lane] += 1
        for buffer in self._buffers(lane):
            buffer.begin(observation, lane)

    def append(
        self,
        action: NDArray[Any],
        reward: float,
        observation: Observation,
        *,
        terminated: bool,
        is_due: bool = True,
        lane: int = 0,
    ) -> None:
        """Add a step to a lane's episode: see `ReplayBuffer`."""
        for buffer in self._buffers(lane):
            buffer.append(
                action, reward, observation, terminated=terminated, is_due=is_due, lane=lane
            )

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Draw half of the transitions from the episodes kept, the others from all.

        Raises:
            ValueError: the memory holds no transition.
        """
        half = batch_size // 2
        return self._kept.sample(half, rng).joined(self._recent.sample(batch_size - half, rng))

    def all_observations(self) -> dict[str, NDArray[Any]]:
        """Every observation held, per key (size, ...): see `ReplayBuffer`."""
        return self._recent.all_observations()

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, between episodes."""
        buffers = {"recent": self._recent.state_dict(), "kept": self._kept.state_dict()}
        return {**buffers, "num_begun": list(self._num_begun)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` of a memory of the same construction gave."""
        self._recent.load_state_dict(state["recent"])
        self._kept.load_state_dict(state["kept"])
        self._num_begun = list(state["num_begun"])

    def _buffers(self, lane: int) -> list[ReplayBuffer]:
        """Where the lane's episode goes: its number is that of the learner's rounds."""
        number = (self._num_begun[lane] - 1) * len(self._num_begun) + lane
        return [self._recent, self._kept] if number < self._num_kept else [self._recent]
