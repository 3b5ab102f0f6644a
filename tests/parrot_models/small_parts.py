"""Every part that methods start from, untrained, too small to be of use, of any spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.baselines.keypoints import WEIGHTS, keypoints_of
from parrot_models.networks.params import KeypointArchitecture
from parrot_models.networks.stored import save_weights
from tests.parrot_models.small_models import small_model
from tests.parrot_models.small_priors import small_prior
from tests.specs import some_actions, some_observations

DATA_MANIFEST = "d" * 64
KEYPOINTS = {"num_keypoints": 2, "width": 4}
PARTS = ("prior", "spline", "matching", "bc", "vae", "trajectories", "options")
FLOWS = {"prior": "affine", "spline": "spline", "matching": "matching"}


def small_part(name: str, spec: EpisodeSpec) -> Any:
    """A part that knows the scales of `tests.specs`, frozen."""
    if name in FLOWS:
        return small_prior(spec, FLOWS[name])
    model = small_model(name, spec)
    observations, actions = some_observations(spec, 50), some_actions(spec, 50)
    if name == "vae":
        model.init_from_data(observations)
        model.action_scale.init_from_data(actions)
    else:
        model.init_from_data(observations, actions)
    return model


def save_part(name: str, spec: EpisodeSpec, folder: Path) -> Path:
    """Write it as its training would, with keypoints where an agent is to see any."""
    folder.mkdir(parents=True)
    params: dict[str, Any] = {"keypoints": {"kind": "none"}}
    if name in ("bc", "trajectories", "options") and spec.images:
        params = {"keypoints": {"kind": "reconstruction", **KEYPOINTS}}
        torch.manual_seed(1)
        keypoints = keypoints_of(KeypointArchitecture.model_validate(KEYPOINTS), spec)
        save_weights(keypoints.state_dict(), folder / WEIGHTS)
    lineage = {"params": params, "data_manifest_sha256": DATA_MANIFEST}
    small_part(name, spec).save(folder, lineage)
    return folder
