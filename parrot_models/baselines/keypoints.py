"""The keypoints of a baseline, for its agent: in the folder of what it is pre-trained as.

A prior's agent sees keypoints beside what its flow sees. The same, trained in the same way on the
same pictures, is due to the agents of its rivals; that they have their own keeps them apart from
the flow. They are no part of the model: no paper says what its agent should see.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from parrot_models.networks.keypoints import KeypointEncoder
from parrot_models.networks.stored import load_model, save_weights

WEIGHTS = "keypoints.safetensors"


def save_keypoints(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write the weights of an encoder; the params in the folder's config.json say of which."""
    save_weights(weights, folder / WEIGHTS)


def load_keypoints(folder: Path, method: str) -> KeypointEncoder:
    """Read an encoder, frozen and in evaluation mode.

    Args:
        folder: that `pretrain` wrote.
        method: for which.

    Raises:
        UserError: config or weights are missing, unreadable or do not fit each other.
    """
    name, command = "keypoints for an agent to see", f"parrot pretrain --method {method}"
    return load_model(_of_params, folder, WEIGHTS, name, command)


def _of_params(config: Mapping[str, Any]) -> KeypointEncoder:
    params = config["params"]
    size = params["environment"]["image_size"]
    return KeypointEncoder(size, params["keypoints"]["num_keypoints"], params["keypoints"]["width"])
