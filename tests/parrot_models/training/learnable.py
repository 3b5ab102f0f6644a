"""Data that can be learned: actions that follow from what is seen, and a little chance."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from small_shards import made_up_episode, write_shards

from parrot_data.episodes.episode import Episode
from parrot_data.progress import Progress, silent
from parrot_models import train_prior as stage
from parrot_models.training.params import NoKeypoints
from parrot_models.training.ranks import ALONE, Ranks
from tests.specs import spec_of

SPEC = spec_of(images={}, vectors={"pose": 3}, action_dim=2)
STEPS = 24
COUPLINGS = {"num_layers": 2, "hidden": [16], "max_log_scale": 2.0}
PARAMS: dict[str, Any] = {
    "seed": 0, "source": {"kind": "memmap"}, "held_out_fraction": 0.2, "augment": [],
    "observation_noise": 0.0, "precision": "fp32", "gradient_clip": 1.0, "log_every": 12,
    "checkpoint_every": 5, "encoder": {"kind": "vector"}, "context_dim": 16, "flow": "affine",
    "flows": {
        "affine": COUPLINGS,
        "spline": {**COUPLINGS, "num_bins": 4, "bound": 4.0},
        "matching": {
            "hidden": [8], "num_steps": 2, "draws": 2, "distillation_steps": 6,
            "distillation_learning_rate": 1e-3,
        },
    },
    "steps": STEPS, "batch_size": 32, "learning_rate": 1e-2,
}  # fmt: skip
STREAM = {"kind": "stream", "buffer_episodes": 16, "cache_gb": 0.0}


def learnable(index: int, num_steps: int) -> Episode:
    episode = made_up_episode(SPEC, index, num_steps)
    seen = episode.observations["pose"][:-1]
    chance = np.random.default_rng(index).normal(scale=0.1, size=(num_steps, 2))
    actions = np.clip(0.3 * seen[:, :2] - 0.2 * seen[:, 2:] + chance, -1, 1)
    return replace(episode, actions=actions.astype(np.float32))


def write_learnable(folder: Path, num_episodes: int = 40, episodes_per_tar: int = 5) -> Path:
    episodes = [learnable(index, 6 + index % 5) for index in range(num_episodes)]
    return write_shards(folder, episodes, SPEC, episodes_per_tar=episodes_per_tar)


def train(
    data: Path | str,
    out: Path,
    ranks: Ranks = ALONE,
    progress: Progress = silent,
    **changes: object,
) -> dict[str, Any]:
    params = stage.TrainPriorParams.model_validate({**PARAMS, **changes})
    return stage.train_prior(
        params, NoKeypoints(kind="none"), data, out, progress=progress, ranks=ranks
    )


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}
