"""Params of tiny pre-trained parts."""

from __future__ import annotations

from typing import Any

from parrot_models.training.params import NoKeypoints, ReconstructedKeypoints

RECONSTRUCTION = ReconstructedKeypoints(
    kind="reconstruction", num_keypoints=4, width=4, foreground_weight=30.0, steps=3, batch_size=4,
    learning_rate=2e-3,
)  # fmt: skip
NONE = NoKeypoints(kind="none")

COMMON: dict[str, Any] = {
    "seed": 0, "source": {"kind": "memmap"},
    "held_out_fraction": 0.34, "augment": [], "observation_noise": 0.1,
    "precision": "bf16", "gradient_clip": 1.0, "log_every": 3, "checkpoint_every": 2, "steps": 7,
    "batch_size": 4, "learning_rate": 1e-3,
}  # fmt: skip
CONTEXT: dict[str, Any] = {
    "encoder": {"kind": "fast", "feature_dim": 6}, "context_dim": 8, "hidden": [16],
}  # fmt: skip
OF_PART: dict[str, dict[str, Any]] = {
    "bc": CONTEXT,
    "vae": {"latent_dim": 4, "width": 4, "hidden": 8, "beta": 2.0, "foreground_weight": 30.0},
    "trajectories": {**CONTEXT, "chunk_steps": 10, "latent_dim": 4, "kl_weight": 0.1},
    "options": {
        **CONTEXT, "latent_dim": 3, "posterior_width": 8, "images_per_episode": 3,
        "option_steps": 3.0, "kl_weight": 0.1,
    },
}  # fmt: skip


def part_params(part: str, **changes: Any) -> dict[str, Any]:
    """The params of a part; changes of what it does not have are left out."""
    values = {**COMMON, **OF_PART[part]}
    return {**values, **{name: value for name, value in changes.items() if name in values}}
