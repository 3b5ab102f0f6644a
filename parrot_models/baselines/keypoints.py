"""The keypoints of a baseline, for its agent: in the folder of what it is pre-trained as.

A prior's agent sees keypoints beside what its flow sees. The same, trained in the same way on the
same pictures, is due to the agents of its rivals; that they have their own keeps them apart from
the flow. They are no part of the model: no paper says what its agent should see.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json
from parrot_models.networks.keypoints import KeypointEncoder

WEIGHTS, CONFIG = "keypoints.safetensors", "config.json"


def save_keypoints(weights: Mapping[str, Tensor], folder: Path) -> None:
    """Write the weights of an encoder; the params in the folder's config.json say of which."""
    save_file({k: v.cpu().contiguous() for k, v in weights.items()}, folder / WEIGHTS)


def load_keypoints(folder: Path, method: str) -> KeypointEncoder:
    """Read an encoder, frozen and in evaluation mode.

    Args:
        folder: that `pretrain` wrote.
        method: for which.

    Raises:
        UserError: config or weights are missing, unreadable or do not fit each other.
    """
    config = read_json(folder / CONFIG)
    try:
        params = config["params"]
        values = params["keypoints"]
        size = params["environment"]["image_size"]
        keypoints = KeypointEncoder(size, values["num_keypoints"], values["width"])
        keypoints.load_state_dict(load_file(folder / WEIGHTS))
    except (KeyError, TypeError, OSError, SafetensorError, RuntimeError) as error:
        raise UserError(
            f"{folder} holds no keypoints for an agent to see ({str(error).splitlines()[0]}): "
            f"train it again with `parrot pretrain --method {method}`, or run `dvc checkout`"
        ) from error
    return keypoints.eval().requires_grad_(False)
