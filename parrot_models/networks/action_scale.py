"""Actions between the robot's units and those that models work in."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from parrot_data.episodes.spec import ActionSpec
from parrot_models.networks.observations import STD_FLOOR

BOX_STDS = 4.0  # half-width of the box of an action without bounds, in standard deviations


class ActionScale(nn.Module):
    """An affine map a dimension: actions (.., A) of a robot <-> normalised ones.

    Normalised are the spec's bounds to [-1, 1] or, where it has none, the data to mean 0 and
    standard deviation 1.

    Args:
        action: the spec's.
    """

    def __init__(self, action: ActionSpec) -> None:
        super().__init__()
        self.is_bounded = action.low is not None and action.high is not None
        offset, scale = torch.zeros(action.dim), torch.ones(action.dim)
        if action.low is not None and action.high is not None:
            low, high = torch.tensor(action.low), torch.tensor(action.high)
            offset, scale = 0.5 * (high + low), 0.5 * (high - low)
        self.offset: Tensor
        self.scale: Tensor
        self.register_buffer("offset", offset)
        self.register_buffer("scale", scale)

    def init_from_data(self, actions: Tensor) -> None:
        """Take mean and standard deviation of actions (B, A) where they have no bounds."""
        if not self.is_bounded:
            std = actions.std(0, correction=0)
            self.offset.copy_(actions.mean(0))
            self.scale.copy_(torch.where(std > STD_FLOOR, std, torch.ones_like(std)))

    def normalised(self, actions: Tensor) -> Tensor:
        """Of the robot's actions (..., A)."""
        return (actions - self.offset) / self.scale

    def restored(self, normalised: Tensor) -> Tensor:
        """The robot's actions of normalised ones (..., A)."""
        return torch.addcmul(self.offset, normalised, self.scale)

    def box(self) -> tuple[Tensor, Tensor]:
        """Least and greatest actions (A,): the bounds, or BOX_STDS about the data's mean."""
        half = self.scale if self.is_bounded else BOX_STDS * self.scale
        return self.offset - half, self.offset + half

    def box_arrays(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The same as arrays, float32 (A,) each."""
        low, high = (corner.cpu().numpy().astype(np.float32) for corner in self.box())
        return low, high
