"""What the agent lived, laid out by episode, and n-step returns drawn from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Observation = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Batch:
    """B transitions of m <= n steps each; the target of a critic is R + discount * Q(s', a').

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


class ReplayBuffer:
    """A ring of slots, one an observation: an episode of T steps fills T + 1 of them.

    A slot holds an observation and, if one was taken there, the action and what it earned. The
    final observation of an episode and the newest of all are slots without an action; a window of
    n steps ends at such a slot. So a truncated episode bootstraps from its true final observation,
    no observation is stored twice, and no window runs from the newest slot into the oldest.

    Args:
        capacity: number of slots; the oldest are overwritten.
        observation_space: its keys, shapes and dtypes become the arrays.
        action_dim: width of the stored actions.
        n_step: longest window, n.
        discount: gamma of one step.
    """

    def __init__(
        self,
        capacity: int,
        observation_space: gymnasium.spaces.Dict,
        action_dim: int,
        n_step: int,
        discount: float,
    ) -> None:
        self.capacity, self.n_step, self.discount = capacity, n_step, discount
        self._observations: dict[str, NDArray[Any]] = {
            key: np.zeros((capacity, *space.shape), space.dtype)  # type: ignore[misc]
            for key, space in observation_space.spaces.items()
        }
        self._actions = np.zeros((capacity, action_dim), np.float32)
        self._rewards = np.zeros(capacity, np.float64)
        self._terminated = np.zeros(capacity, bool)
        self._has_action = np.zeros(capacity, bool)
        self._size = 0  # slots in use
        self._newest = -1

    def __len__(self) -> int:
        """Number of transitions that can be drawn."""
        return int(np.count_nonzero(self._has_action))

    def begin(self, observation: Observation) -> None:
        """Start an episode with the observation of a reset."""
        self._newest = (self._newest + 1) % self.capacity
        self._size = max(self._size, self._newest + 1)
        for key, array in self._observations.items():
            array[self._newest] = observation[key]
        self._has_action[self._newest] = False

    def append(
        self, action: NDArray[Any], reward: float, observation: Observation, *, terminated: bool
    ) -> None:
        """Add a step to the episode under way: the action, what it earned, where it led."""
        slot = self._newest
        self._actions[slot] = action
        self._rewards[slot] = reward
        self._terminated[slot] = terminated
        self._has_action[slot] = True
        self.begin(observation)

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
        """Every observation held, per key (size, ...): views, in slot order."""
        return {key: array[: self._size] for key, array in self._observations.items()}

    def state_dict(self) -> dict[str, Any]:
        """All that `load_state_dict` needs: tensors sharing memory with the slots in use."""
        used = {name: torch.from_numpy(array[: self._size]) for name, array in self._arrays()}
        return {"arrays": used, "newest": self._newest}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore what `state_dict` of a buffer of the same construction gave."""
        for name, array in self._arrays():
            saved = state["arrays"][name].numpy()
            self._size = len(saved)
            array[: self._size] = saved
        self._newest = state["newest"]

    def _arrays(self) -> list[tuple[str, NDArray[Any]]]:
        own: list[tuple[str, NDArray[Any]]] = [
            ("actions", self._actions),
            ("rewards", self._rewards),
            ("terminated", self._terminated),
            ("has_action", self._has_action),
        ]
        return own + [(f"observation.{key}", array) for key, array in self._observations.items()]

    def _gather(self, slots: NDArray[np.int64]) -> dict[str, Tensor]:
        return {k: torch.from_numpy(array[slots]) for k, array in self._observations.items()}

    def _draw_slots(self, batch_size: int, rng: np.random.Generator) -> NDArray[np.int64]:
        # Rejection instead of an index of slots: all but one in T + 1 are accepted.
        if not self._has_action.any():
            raise ValueError("cannot sample from a replay buffer without transitions")
        slots = rng.integers(self._size, size=batch_size)
        while (rejected := ~self._has_action[slots]).any():
            slots[rejected] = rng.integers(self._size, size=int(np.count_nonzero(rejected)))
        return slots

    def _windows(
        self, start: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """The last slot, the discounted return and the bootstrap discount of each window."""
        end = start.copy()
        returns = np.zeros(len(start))
        discounts = np.ones(len(start))
        for _ in range(self.n_step):
            goes_on = self._has_action[end]
            returns += np.where(goes_on, discounts * self._rewards[end], 0.0)
            factor = np.where(self._terminated[end], 0.0, self.discount)
            discounts *= np.where(goes_on, factor, 1.0)
            end = np.where(goes_on, (end + 1) % self.capacity, end)
        return end, returns, discounts
