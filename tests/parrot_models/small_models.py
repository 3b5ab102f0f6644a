"""Models of every kind in folders of their own, too small to be of use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.baselines.bc_model import BehaviorCloning, CloneArchitecture
from parrot_models.baselines.options_model import OptionArchitecture, OptionModel
from parrot_models.baselines.trajectories_model import TrajectoryArchitecture, TrajectoryVAE
from parrot_models.baselines.vae_model import BetaVAE, VAEArchitecture
from tests.parrot_models.small_priors import small_prior
from tests.specs import encoder_for

KINDS = ("prior", "bc", "trajectories", "options", "vae")


def small_model(kind: str, spec: EpisodeSpec) -> Any:
    """A model with freshly drawn weights."""
    if kind == "prior":
        return small_prior(spec)
    torch.manual_seed(0)
    shared = {"spec": spec, "encoder": encoder_for(spec), "context_dim": 8}
    models: dict[str, Any] = {
        "bc": lambda: BehaviorCloning(architecture(CloneArchitecture, **shared, hidden=[8])),
        "trajectories": lambda: TrajectoryVAE(
            architecture(TrajectoryArchitecture, **shared, hidden=[8], latent_dim=3, num_steps=4)
        ),
        "options": lambda: OptionModel(
            architecture(OptionArchitecture, **shared, hidden=[8], latent_dim=3, posterior_width=4)
        ),
        "vae": lambda: BetaVAE(
            architecture(VAEArchitecture, spec=spec, latent_dim=3, width=4, hidden=8)
        ),
    }
    return models[kind]().eval().requires_grad_(False)


def architecture(kind: Any, **values: Any) -> Any:
    return kind.model_validate(values)


def save_small(kind: str, spec: EpisodeSpec, folder: Path) -> Path:
    """Write a small model as its stage does, but for seal, metrics and keypoints."""
    folder.mkdir(parents=True)
    lineage = {} if kind == "prior" else {"method": kind, "params": {"keypoints": {"kind": "none"}}}
    small_model(kind, spec).save(folder, lineage)
    return folder
