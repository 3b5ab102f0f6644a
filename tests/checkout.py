"""A checkout of its own, with tiny params, in which the real `dvc` and `parrot` run."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from parrot_data.worlds.tabletop.tasks import TASKS

ROOT = Path(__file__).parents[1]
CHECKOUT = (
    *("cli", "parrot_data", "parrot_models", "pyproject.toml"),
    *("dvc.yaml", ".dvcignore", ".gitignore"),
)
TASK = next(name for name, task in TASKS.items() if task.family == "pick")
LARGE = (
    "data",
    "models",
    "judged",
    "runs",
    "kept",
    "shards",
    "scratch",
    "explored",
    "audited",
)  # made, not written
TINY: dict[str, dict[str, Any]] = {
    "generate": {"num_episodes": 24, "episodes_per_file": 12},
    "shard": {"steps_per_chunk": 50, "chunks_per_shard": 2, "episodes_per_tar": 6},
    "keypoints": {"num_keypoints": 4, "width": 4, "steps": 4, "batch_size": 8},
    "train_prior": {
        "log_every": 8,
        "encoder": {"feature_dim": 6, "window_dim": 0},
        "context_dim": 8,
        "flows": {
            "affine": {"num_layers": 2, "hidden": [16]},
            "spline": {"num_layers": 2, "hidden": [16]},
            "matching": {"hidden": [16], "num_steps": 2, "distillation_steps": 4},
        },
        "steps": 8,
        "batch_size": 16,
    },
    "pretrain": {
        "bc": {
            "log_every": 8,
            "encoder": {"feature_dim": 6, "window_dim": 0},
            "context_dim": 8,
            "hidden": [16],
            "steps": 6,
            "batch_size": 16,
        },
        "vae": {
            "log_every": 8,
            "latent_dim": 4,
            "width": 4,
            "hidden": 8,
            "steps": 6,
            "batch_size": 8,
        },
        "trajectories": {
            "log_every": 8,
            "encoder": {"feature_dim": 6, "window_dim": 0},
            "context_dim": 8,
            "hidden": [16],
            "latent_dim": 4,
            "steps": 6,
            "batch_size": 4,
        },
        "options": {
            "log_every": 8,
            "encoder": {"feature_dim": 6, "window_dim": 0},
            "context_dim": 8,
            "hidden": [16],
            "posterior_width": 8,
            "images_per_episode": 3,
            "steps": 6,
            "batch_size": 4,
        },
    },
    "judge": {
        "num_episodes": 1,
        "num_demonstrations": 1,
        "reach": {"latent_bounds": [1.0]},
        "probe": {"tasks": [TASK], "scenes": 10},
    },
    "finetune": {
        "tasks": [TASK],
        "methods": ["parrot", "sac"],
        "seeds": ["0"],
        "env_steps": 100,
        "warmup_steps": 50,
        "critic_only_updates": 5,
        "batch_size": 16,
        "replay_capacity": 200,
        "curve_window_episodes": 2,
        "curve_every_episodes": 1,
        "video_episodes": 1,
    },
    "evaluate": {"num_episodes": 1},
    "film": {"num_episodes": 1, "height": 64},
    "explore": {"num_episodes": 1, "latent_bounds": [1.0]},
    "audit": {"num_episodes": 1},
    "report": {"contact_sheet_episodes": 4},
}


class Pipeline:
    """A checkout of its own, in which `dvc repro` runs with the environment of this test."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        bin_folder = str(Path(sys.executable).parent)
        self.environment = {
            **os.environ,
            "PATH": os.pathsep.join((bin_folder, os.environ["PATH"])),
            "PYTHONPATH": str(folder),
            "DVC_SITE_CACHE_DIR": str(folder.with_name("site_cache")),
            "OMP_NUM_THREADS": "1",
        }

    def copy(self, folder: Path) -> Pipeline:
        """The same in another folder, with all that was made, to be changed there."""
        shutil.copytree(self.folder, folder, symlinks=True)
        return Pipeline(folder)

    def call(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def repro(self, *targets: str) -> str:
        done = self.call("dvc", "repro", *targets)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def set(self, section: str, key: str, value: object) -> None:
        path = self.folder / "params.yaml"
        params = yaml.safe_load(path.read_text())
        params[section][key] = value
        path.write_text(yaml.safe_dump(params))

    def lock(self) -> dict[str, Any]:
        stages: dict[str, Any] = yaml.safe_load((self.folder / "dvc.lock").read_text())["stages"]
        return stages


def check_out(folder: Path, more: Sequence[str] = ()) -> Pipeline:
    """Copy the pipeline, and what else is named, with tiny values in its params.yaml."""
    for name in (*CHECKOUT, *more):
        if (ROOT / name).is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.lock", ".dvcignore", *LARGE)
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, folder / name)
    (folder / ".dvc").mkdir()
    shutil.copy(ROOT / ".dvc" / "config", folder / ".dvc" / "config")
    change(folder / "params.yaml", yaml.safe_load((ROOT / "params.yaml").read_text()), TINY)
    pipeline = Pipeline(folder)
    assert pipeline.call("git", "init", "--quiet").returncode == 0
    return pipeline


def change(path: Path, params: dict[str, Any], changes: Mapping[str, Any]) -> None:
    """Write params with some values changed, none of them new."""
    path.write_text(yaml.safe_dump(changed(params, changes, path.name)))


def changed(
    values: dict[str, Any], changes: Mapping[str, Any], name: str = "params.yaml"
) -> dict[str, Any]:
    """Values with some of them changed, none of them new."""
    assert changes.keys() <= values.keys(), f"{name}: a key is gone"
    return values | {
        key: changed(values[key], value, key) if isinstance(value, Mapping) else value
        for key, value in changes.items()
    }
