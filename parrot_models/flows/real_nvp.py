"""A conditional RealNVP: the map f(z; s) = a of the behavioral prior."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from parrot_models.flows.coupling import AffineCoupling
from parrot_models.flows.coupling_flow import CouplingFlow


class RealNVP(CouplingFlow):
    """A flow of affine couplings (Dinh et al. 2017), the one of the paper.

    Args:
        dim, context_dim, num_layers: see `CouplingFlow`.
        hidden: widths of each conditioner's hidden layers, at least one.
        max_log_scale: bound on the log_scale that a conditioner may choose.

    Raises:
        ValueError: dim or num_layers is less than 2, or hidden is empty.
    """

    def __init__(
        self,
        dim: int,
        context_dim: int,
        num_layers: int,
        hidden: Sequence[int],
        max_log_scale: float,
    ) -> None:
        if not hidden:
            raise ValueError("a flow needs hidden layers")
        make = partial(AffineCoupling, hidden=hidden, max_log_scale=max_log_scale)
        super().__init__(dim, context_dim, num_layers, hidden[0], make)
