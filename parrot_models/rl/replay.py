"""What an agent saw and did, laid out by episode, and the batches of transitions drawn from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_models.networks.device import to_device

Observation = Mapping[str, NDArray[Any]]


def one_row(observation: Observation) -> dict[str, NDArray[Any]]:
    """An observation as a batch of one: per key (1, ...)."""
    # Not value[None]: a row of stride 0 sends convolutions down another path, to other last bits.
    return {key: np.stack([value]) for key, value in observation.items()}


def row_of(observations: Observation, index: int) -> dict[str, NDArray[Any]]:
    """One of observations, per key (N, ...), as it is told of a single robot: per key (...)."""
    return {key: values[index] for key, values in observations.items()}


@dataclass(frozen=True)
class Batch:
    """B transitions; the target of a critic is R + discount * Q(s', a').

    A transition is n decisions, fewer at an episode's end, that took m steps together: m decisions
    of a step each, unless decisions last.

    Attributes:
        observations: per key (B, ...), s_t.
        actions: float32 (B, A), a_t as the critic judges it.
        returns: float32 (B,), sum of gamma^k r_{t+k} over the m steps.
        discounts: float32 (B,), gamma^m, or 0 where the episode terminated within them.
        next_observations: per key (B, ...), s_{t+m}.
    """

    observations: dict[str, Tensor]
    actions: Tensor
    returns: Tensor
    discounts: Tensor
    next_observations: dict[str, Tensor]

    def to(self, device: torch.device) -> Batch:
        """The same transitions on a device."""
        return Batch(
            {key: to_device(values, device) for key, values in self.observations.items()},
            to_device(self.actions, device),
            to_device(self.returns, device),
            to_device(self.discounts, device),
            {key: to_device(values, device) for key, values in self.next_observations.items()},
        )

    def joined(self, other: Batch) -> Batch:
        """These transitions and another batch's."""
        return Batch(
            _joined(self.observations, other.observations),
            torch.cat([self.actions, other.actions]),
            torch.cat([self.returns, other.returns]),
            torch.cat([self.discounts, other.discounts]),
            _joined(self.next_observations, other.next_observations),
        )

    def tensors(self) -> list[Tensor]:
        """All of its tensors, in the same order for all batches of one buffer."""
        seen = [*self.observations.values(), *self.next_observations.values()]
        return [*seen, self.actions, self.returns, self.discounts]


def _joined(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {key: torch.cat([values, b[key]]) for key, values in a.items()}


class ReplayBuffer:
    """Rings of slots, one an observation: an episode of T steps fills T + 1 of them.

    Each of several environments fills a ring of its own, its lane.

    A slot holds an observation and, if one was taken there, the action and what it earned. Where an
    action is a decision that lasts for k steps, only the observations are held that decisions were
    taken on, and a decision earned sum_i gamma^i r_i and is discounted by gamma^k, as in a semi-MDP
    (Sutton, Precup and Singh, 1999, section 3): a window of n steps is one of n decisions. The
    final observation of an episode and the newest of a lane are slots without an action; a window
    of n steps ends at such a slot. So a truncated episode bootstraps from its true final
    observation, no observation is stored twice, and no window runs from the newest slot into the
    oldest.

    Args:
        capacity: number of slots of all lanes, who share them evenly; the oldest are overwritten.
        observation_space: its keys, shapes and dtypes become the arrays.
        action_dim: width of the stored actions.
        n_step: longest window, n decisions.
        discount: gamma of one step.
        num_lanes: environments that take their steps at the same time.
    """

    def __init__(
        self,
        capacity: int,
        observation_space: gymnasium.spaces.Dict,
        action_dim: int,
        n_step: int,
        discount: float,
        num_lanes: int = 1,
    ) -> None:
        self.n_step, self.discount = n_step, discount
        self._length = capacity // num_lanes  # of a lane
        self.capacity = capacity = self._length * num_lanes
        self._observations: dict[str, NDArray[Any]] = {
            key: np.zeros((capacity, *space.shape), space.dtype)  # type: ignore[misc]
            for key, space in observation_space.spaces.items()
        }
        self._actions = np.zeros((capacity, action_dim), np.float32)
        self._rewards = np.zeros(capacity, np.float64)
        self._discounts = np.ones(capacity, np.float64)  # gamma^k, 0 where the episode terminated
        self._has_action = np.zeros(capacity, bool)
        self._starts = np.arange(num_lanes) * self._length
        self._sizes = np.zeros(num_lanes, np.int64)  # slots of each lane in use
        self._newest = np.full(num_lanes, -1)  # counted from the lane's start
        self._is_under_way = np.zeros(num_lanes, bool)  # a decision, on each lane's newest slot

    @staticmethod
    def bytes_a_slot(observation_space: gymnasium.spaces.Dict, action_dim: int) -> int:
        """Memory that one of the `capacity` takes."""
        shapes = [(space.shape, space.dtype) for space in observation_space.spaces.values()]
        observation = sum(
            math.prod(shape or ()) * np.dtype(dtype).itemsize for shape, dtype in shapes
        )
        of_step = np.dtype(np.float64).itemsize * 2 + np.dtype(bool).itemsize
        return observation + np.dtype(np.float32).itemsize * action_dim + of_step

    def __len__(self) -> int:
        """Number of transitions that can be drawn."""
        return int(np.count_nonzero(self._has_action))

    def begin(self, observation: Observation, lane: int = 0) -> None:
        """Start an episode with the observation of a reset."""
        self._newest[lane] = (self._newest[lane] + 1) % self._length
        self._sizes[lane] = max(self._sizes[lane], self._newest[lane] + 1)
        slot = self._starts[lane] + self._newest[lane]
        for key, array in self._observations.items():
            array[slot] = observation[key]
        self._rewards[slot], self._discounts[slot] = 0.0, 1.0
        self._has_action[slot], self._is_under_way[lane] = False, False

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
        """Add a step to a lane's episode: the action, what it earned, where it led.

        Args:
            action: (A,), looked at in the first step of a decision alone.
            reward: of the step.
            observation: that it led to; held where the decision ends.
            terminated: whether nothing comes after it.
            is_due: whether the decision ends with this step: another is due, or the episode over.
            lane: whose episode it is.
        """
        slot = self._starts[lane] + self._newest[lane]
        if not self._is_under_way[lane]:
            self._actions[slot] = action
        self._is_under_way[lane] = True
        self._rewards[slot] += self._discounts[slot] * reward
        self._discounts[slot] *= 0.0 if terminated else self.discount
        if is_due:
            self._has_action[slot] = True
            self.begin(observation, lane)

    def sample(self, batch_size: int, rng: np.random.Generator) -> Batch:
        """Draw transitions uniformly, with replacement.

        Raises:
            ValueError: the buffer holds no transition.
        """
        start = self._draw_slots(batch_size, rng)
        end, returns, discounts = self._windows(start)
        return Batch(
            observations=self._gather(start),
            actions=torch.from_numpy(self._actions[start]),
            returns=torch.from_numpy(returns.astype(np.float32)),
            discounts=torch.from_numpy(discounts.astype(np.float32)),
            next_observations=self._gather(end),
        )

    def all_observations(self) -> dict[str, NDArray[Any]]:
        """Every observation held, per key (size, ...), lane by lane in slot order."""
        return {
            key: np.concatenate([array[used] for used in self._used()])
            for key, array in self._observations.items()
        }

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs: tensors sharing memory with the slots in use."""
        used = {
            f"{lane}.{name}": torch.from_numpy(array[slots])
            for lane, slots in enumerate(self._used())
            for name, array in self._arrays()
        }
        return {"arrays": used, "newest": self._newest.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` of a buffer of the same construction gave."""
        for lane, start in enumerate(self._starts):
            for name, array in self._arrays():
                saved = state["arrays"][f"{lane}.{name}"].numpy()
                self._sizes[lane] = len(saved)
                array[start : start + len(saved)] = saved
        self._newest[:] = state["newest"]

    def _used(self) -> list[slice]:
        """Slots in use, lane by lane."""
        ends = self._starts + self._sizes
        return [slice(*lane) for lane in zip(self._starts.tolist(), ends.tolist(), strict=True)]

    def _arrays(self) -> list[tuple[str, NDArray[Any]]]:
        own: list[tuple[str, NDArray[Any]]] = [
            ("actions", self._actions),
            ("rewards", self._rewards),
            ("discounts", self._discounts),
            ("has_action", self._has_action),
        ]
        return own + [(f"observation.{key}", array) for key, array in self._observations.items()]

    def _gather(self, slots: NDArray[np.int64]) -> dict[str, Tensor]:
        return {k: torch.from_numpy(array[slots]) for k, array in self._observations.items()}

    def _draw_slots(self, batch_size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        # Rejection instead of an index of slots: all but one in T + 1 are accepted.
        if not self._has_action.any():
            raise ValueError("cannot sample from a replay buffer without transitions")
        slots = self._slots(rng, batch_size)
        while (rejected := ~self._has_action[slots]).any():
            slots[rejected] = self._slots(rng, int(np.count_nonzero(rejected)))
        return slots

    def _slots(self, rng: np.random.Generator, count: int) -> NDArray[np.int64]:
        """Slots in use, uniformly."""
        ends = self._sizes.cumsum()
        places = rng.integers(ends[-1], size=count)
        lanes = np.searchsorted(ends, places, side="right")
        slots: NDArray[np.int64] = places + (self._starts - ends + self._sizes)[lanes]
        return slots

    def _windows(
        self, start: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """The last slot, the discounted return and the bootstrap discount of each window."""
        end = start.copy()
        lane = start // self._length * self._length
        returns = np.zeros(len(start))
        discounts = np.ones(len(start))
        for _ in range(self.n_step):
            goes_on = self._has_action[end]
            returns += np.where(goes_on, discounts * self._rewards[end], 0.0)
            discounts *= np.where(goes_on, self._discounts[end], 1.0)
            end = np.where(goes_on, lane + (end + 1 - lane) % self._length, end)
        return end, returns, discounts


class DemoReplay:
    """Symmetric sampling of RLPD (Ball et al., 2023, section 4.1): half demonstrations, half own.

    RLPD's demonstrations are a dataset, and so may these be; or they are the first episodes, which
    the prior drives (`Schedule.guided_episodes`), failures included. Open in the original, and so
    chosen: the other half is drawn from all episodes, the first among them, as long as there is
    room.

    Args:
        recent: empty; holds everything, the oldest is overwritten.
        kept: holds a dataset, or is empty and large enough for the first episodes; else like
            `recent`.
        num_kept: episodes kept, counted across lanes; 0 with a dataset.
        num_lanes: environments that take their steps at the same time.

    Attributes:
        capacity: of `recent`.
        kept: see above.
    """

    def __init__(
        self, recent: ReplayBuffer, kept: ReplayBuffer, num_kept: int, num_lanes: int = 1
    ) -> None:
        self._recent, self.kept = recent, kept
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
        return self.kept.sample(half, rng).joined(self._recent.sample(batch_size - half, rng))

    def all_observations(self) -> dict[str, NDArray[Any]]:
        """Every observation held, per key (size, ...): see `ReplayBuffer`."""
        return self._recent.all_observations()

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs, between episodes."""
        state = {"recent": self._recent.state_dict(), "num_begun": list(self._num_begun)}
        # A dataset is there again when a memory of the same construction is made
        return {**state, "kept": self.kept.state_dict()} if self._num_kept else state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` of a memory of the same construction gave."""
        self._recent.load_state_dict(state["recent"])
        if self._num_kept:
            self.kept.load_state_dict(state["kept"])
        self._num_begun = list(state["num_begun"])

    def _buffers(self, lane: int) -> list[ReplayBuffer]:
        """Where the lane's episode goes: its number is that of the learner's rounds."""
        number = (self._num_begun[lane] - 1) * len(self._num_begun) + lane
        return [self._recent, self.kept] if number < self._num_kept else [self._recent]
