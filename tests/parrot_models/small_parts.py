"""Every part that methods start from, untrained, too small to be of use, of any spec."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.baselines.bc_model import BehaviorCloning, CloneArchitecture
from parrot_models.baselines.keypoints import WEIGHTS, keypoints_of
from parrot_models.baselines.options_model import OptionArchitecture, OptionModel
from parrot_models.baselines.trajectories_model import TrajectoryArchitecture, TrajectoryVAE
from parrot_models.baselines.vae_model import BetaVAE, VAEArchitecture
from parrot_models.networks.params import KeypointArchitecture
from parrot_models.networks.stored import save_weights
from tests.parrot_models.small_priors import FOVEAL, small_prior
from tests.specs import encoder_for, some_actions, some_observations

DATA_MANIFEST = "d" * 64
KEYPOINTS = {"num_keypoints": 2, "width": 4}
PARTS = ("prior", "spline", "matching", "bc", "vae", "trajectories", "options")
FLOWS = {"prior": "affine", "spline": "spline", "matching": "matching"}


def small_part(name: str, spec: EpisodeSpec) -> Any:
    """A part that knows the scales of `tests.specs`, frozen."""
    if name in FLOWS:
        return small_prior(spec, FLOWS[name])
    torch.manual_seed(0)
    observations, actions = some_observations(spec, 50), some_actions(spec, 50)
    if name == "vae":
        vae = BetaVAE(VAEArchitecture(spec=spec, latent_dim=3, width=4, hidden=8))
        vae.init_from_data(observations)
        vae.action_scale.init_from_data(actions)
        return vae.eval().requires_grad_(False)
    model = _context_model(name, spec)
    model.init_from_data(observations, actions)
    return model.eval().requires_grad_(False)


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


def _context_model(name: str, spec: EpisodeSpec) -> Any:
    seen = {
        "spec": spec,
        "encoder": FOVEAL if spec.tool and spec.cameras else encoder_for(spec),
        "context_dim": 4,
        "hidden": [8],
    }
    if name == "bc":
        return BehaviorCloning(CloneArchitecture.model_validate(seen))
    if name == "options":
        own = {"latent_dim": 3, "posterior_width": 4}
        return OptionModel(OptionArchitecture.model_validate(seen | own))
    own = {"latent_dim": 3, "num_steps": 5}
    return TrajectoryVAE(TrajectoryArchitecture.model_validate(seen | own))
