"""What an agent sees where a model was pre-trained without thinking of one: the model's context."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor


class Encoded(NamedTuple):
    """An observation encoded, see `Encoding`."""

    context: Tensor
    features: Tensor


Context = Callable[[Tensor, Tensor | None], Tensor]


class ContextSeen:
    """A model as something to see with: its context is also the agent's features.

    No paper says what else the agent of such a baseline should see; the prior's features would tie
    it to the flow.

    Args:
        context: (B, C) of images uint8 (B, S, S, 3) and proprioception (B, 8); frozen.
        device: of all its arguments and results.
    """

    def __init__(self, context: Context, device: torch.device) -> None:
        self._context, self.device = context, device

    def encode(self, images: Tensor, proprioception: Tensor | None) -> Encoded:
        """Encode images uint8 (B, S, S, 3) and proprioception (B, 8)."""
        context = self._context(images, proprioception)
        return Encoded(context, context)
