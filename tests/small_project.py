"""A project of a user's own world, so small that a run takes a second: what a sweep works in."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import yaml

from tests.parrot_models.small_parts import save_part
from tests.specs import spec_of

ROOT = Path(__file__).parents[1]
KWARGS = {"action_dim": 2, "max_steps": 5, "ends": False}
CHANGES: dict[str, dict[str, Any]] = {
    "environment": {"name": "own_world:NotingWorld", "kwargs": KWARGS},
    "generate": {
        "num_episodes": 23,
        "episodes_per_file": 2,
        "tasks": {"reach-near": 0.7, "reach-far": 0.3},
    },
    "judge": {"probe": None, "families": ["near"]},
    "finetune": {
        "tasks": ["reach-near"],
        "methods": ["parrot", "sac"],
        "seeds": ["0"],
        "env_steps": 40,
        "warmup_steps": 10,
        "critic_only_updates": 2,
        "batch_size": 4,
        "replay_capacity": 100,
        "checkpoint_every_steps": 10,
        "curve_window_episodes": 2,
        "curve_every_episodes": 2,
        "demo_episodes": 2,
        "video_episodes": 0,
    },
    "evaluate": {"num_episodes": 2},
}
# Beside params.yaml, and so on no other machine
OWN_WORLD = """from tests.noting_world import NotingWorld

__all__ = ["NotingWorld"]
"""


def make_project(folder: Path, parts: tuple[str, ...] = ("prior",)) -> Path:
    """Write params.yaml, the world and what methods start from, untrained."""
    folder.mkdir(parents=True)
    shutil.copy(ROOT / "params.yaml", folder / "defaults.yaml")
    text = yaml.safe_dump({"extends": "defaults.yaml", **CHANGES})
    (folder / "params.yaml").write_text(text)
    (folder / "own_world.py").write_text(OWN_WORLD)
    spec = spec_of(vectors={"position": 2, "goal": 2}, action_dim=2)
    for part in parts:
        save_part(part, spec, folder / "models" / part)
    return folder
