"""What an agent sees where a model was pre-trained without thinking of one."""

from __future__ import annotations

import torch
from torch import Tensor

from parrot_models.networks.choices import Precision
from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.networks.sight import Encoding, Sight


class ContextSeen:
    """A model as something to see with: its context, and beside that keypoints of its own.

    No paper says what else the agent of such a baseline should see. What a prior's agents see, they
    see beside keypoints, which tell a target from a distractor; so do these.

    Args:
        model: frozen; its context is what its behaviour depends on.
        keypoints: frozen, on the same device.
        precision: of the convolutions, see `Sight`.
    """

    def __init__(
        self, model: ContextModel, keypoints: KeypointEncoder, precision: Precision
    ) -> None:
        self.device = model.device
        self._sight = Sight(model, keypoints, precision)

    def encode(self, images: Tensor, proprioception: Tensor | None) -> Encoding:
        """Encode images uint8 (B, S, S, 3) and proprioception (B, 8).

        Features begin with the context, on which `ClonedActor` relies.
        """
        context, keypoints, _own = self._sight.see(images, proprioception)
        return Encoding(context, torch.cat([context, keypoints], -1))
