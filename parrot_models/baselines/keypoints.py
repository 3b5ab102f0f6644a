"""The keypoints of a part, for its agent: in the folder of what it is pre-trained as.

A prior's agent sees keypoints beside what its flow sees. The same, trained in the same way on the
same images, is due to the agents of its rivals; that they have their own keeps them apart from the
flow. They are no part of the model: no paper says what its agent should see.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.stores.publish import read_json
from parrot_models.networks.device import CPU
from parrot_models.networks.keypoints import Keypoints
from parrot_models.networks.params import KeypointArchitecture
from parrot_models.networks.stored import CONFIG, SPEC, load_model

WEIGHTS = "keypoints.safetensors"


def load_keypoints(folder: Path, method: str, device: torch.device = CPU) -> Keypoints | None:
    """Read the keypoints of a part, frozen and in evaluation mode; None where it was to have none.

    Args:
        folder: that `pretrain` wrote.
        method: for which.
        device: where they will lie.

    Raises:
        UserError: config or weights are missing, unreadable or do not fit each other.
    """
    if _has_none(read_json(folder / CONFIG)):
        return None
    name, command = "keypoints for an agent to see", f"parrot pretrain --method {method}"
    return load_model(_of_config, folder, WEIGHTS, name, command).to(device)


def keypoints_of(architecture: KeypointArchitecture, spec: EpisodeSpec) -> Keypoints:
    """Keypoints of every image of a spec, with freshly drawn weights."""
    return Keypoints(spec.images, architecture.num_keypoints, architecture.width)


def _has_none(config: Any) -> bool:
    try:
        return bool(config["params"]["keypoints"] == {"kind": "none"})
    except (KeyError, TypeError):
        return False  # what is wrong with it, `load_model` says


def _of_config(config: Mapping[str, Any]) -> Keypoints:
    params = config["params"]["keypoints"]
    architecture = KeypointArchitecture(
        num_keypoints=params["num_keypoints"], width=params["width"]
    )
    return keypoints_of(architecture, EpisodeSpec.model_validate(config[SPEC]))
