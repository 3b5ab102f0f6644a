"""The flow of a prior, built from zuko: conditioners of the same widths, zuko's own affine map."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zuko.flows import RealNVP


def zuko_flow(dim: int, context_dim: int, num_layers: int, hidden: Sequence[int]) -> Any:
    """A `zuko.flows.RealNVP`, arguments as for ours; calling it with a context gives p(a | s)."""
    return RealNVP(dim, context_dim, transforms=num_layers, hidden_features=tuple(hidden))
