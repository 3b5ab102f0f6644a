"""Priors of whatever a spec describes, too small to be of use."""

from __future__ import annotations

from typing import Any

import torch

from parrot_data.episodes.spec import EpisodeSpec
from parrot_models.prior.architecture import PriorArchitecture
from parrot_models.prior.behavioral_prior import BehavioralPrior
from tests.specs import TABLETOP_LIKE, encoder_for, some_actions, some_observations

FOVEAL = {"kind": "foveal", "feature_dim": 12, "window_dim": 3}
FLOWS: dict[str, dict[str, Any]] = {
    "affine": {"kind": "affine", "num_layers": 2, "hidden": [16], "max_log_scale": 2.0},
    "spline": {
        "kind": "spline", "num_layers": 2, "hidden": [16], "max_log_scale": 2.0, "num_bins": 4,
        "bound": 4.0, "min_slope": 0.1,
    },
    "matching": {"kind": "matching", "hidden": [16], "num_steps": 2},
}  # fmt: skip


def architecture_for(
    spec: EpisodeSpec = TABLETOP_LIKE, flow: str = "affine", **changes: Any
) -> PriorArchitecture:
    values = {
        "spec": spec,
        "encoder": FOVEAL if spec.tool and spec.cameras else encoder_for(spec),
        "context_dim": 8,
        "keypoints": {"num_keypoints": 4, "width": 4} if spec.images else None,
        "flow": FLOWS[flow],
    }
    return PriorArchitecture.model_validate({**values, **changes})


def small_prior(
    spec: EpisodeSpec = TABLETOP_LIKE, flow: str = "affine", **changes: Any
) -> BehavioralPrior:
    """A prior whose flow's every parameter is random; it knows the scales of `tests.specs`."""
    torch.manual_seed(0)
    prior = BehavioralPrior(architecture_for(spec, flow, **changes))
    for parameter in prior.flow.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    prior.init_from_data(some_observations(spec, 50), some_actions(spec, 50))
    return prior.eval().requires_grad_(False)
