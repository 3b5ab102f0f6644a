"""Transitions as an update wants them, and what an observation is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

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
