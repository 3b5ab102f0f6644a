"""Gaussians with a diagonal covariance, as networks say them."""

from __future__ import annotations

import torch
from torch import Tensor


def bounded_log_std(raw: Tensor, low: float, high: float) -> Tensor:
    """A log standard deviation between two bounds, of a network's unbounded output: the same shape.

    Smoothly, so that a gradient leads back from either bound.
    """
    return low + 0.5 * (high - low) * (torch.tanh(raw) + 1)
