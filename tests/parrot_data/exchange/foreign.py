"""The same recorded episodes in the formats of others, to be spoilt by tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parrot_data.import_ import ImportParams

FORMATS = ("robomimic", "minari", "npz", "webdataset")


@dataclass
class Recorded:
    """T + 1 observations by name around T actions."""

    observations: dict[str, np.ndarray]
    actions: np.ndarray
    rewards: np.ndarray
    success: int


def recorded(count: int = 3, seed: int = 0) -> list[Recorded]:
    rng = np.random.default_rng(seed)
    found = []
    for index in range(count):
        steps = 4 + index
        found.append(
            Recorded(
                observations={
                    "camera": rng.integers(0, 256, (steps + 1, 6, 5, 3), dtype=np.uint8),
                    "state": rng.normal(size=(steps + 1, 3)).astype(np.float32),
                },
                actions=rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
                rewards=rng.uniform(0, 0.5, steps).astype(np.float32),
                success=index % 2,
            )
        )
        found[-1].rewards[-1] = index % 2
    return found


def params(
    format_: str,
    success: str = "all",
    task: str | None = "reach",
    bounds: tuple[float, float] | None = None,
) -> ImportParams:
    return ImportParams(format=format_, task=task, success=success, bounds=bounds)


def write(format_: str, episodes: list[Recorded], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    writers = {
        "robomimic": write_robomimic,
        "minari": write_minari,
        "npz": write_npz,
        "webdataset": write_webdataset,
    }
    return writers[format_](episodes, folder)


def write_robomimic(episodes: list[Recorded], folder: Path) -> Path:
    import h5py

    path = folder / "demo.hdf5"
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        env = {"env_name": "Lift", "env_kwargs": {"control_freq": 20}}
        data.attrs["env_args"] = json.dumps(env)
        for index, episode in enumerate(episodes):
            demo = data.create_group(f"demo_{index}")
            for name, rows in episode.observations.items():
                demo[f"obs/{name}"] = rows[:-1]
                demo[f"next_obs/{name}"] = rows[1:]
            demo["actions"] = episode.actions
            demo["rewards"] = episode.rewards
            demo["dones"] = np.zeros(len(episode.actions))
            demo["states"] = np.zeros((len(episode.actions), 9))
            demo.attrs["is_success"] = episode.success
        file["mask/train"] = [1]
    return path


def box(low: list[float], high: list[float]) -> str:
    space = {"type": "Box", "dtype": "float32", "shape": [len(low)], "low": low, "high": high}
    return json.dumps(space)


def write_minari(episodes: list[Recorded], folder: Path) -> Path:
    import h5py

    (folder / "data").mkdir()
    with h5py.File(folder / "data/main_data.hdf5", "w") as file:
        for index, episode in enumerate(episodes):
            group = file.create_group(f"episode_{index}")
            for name, rows in episode.observations.items():
                group[f"observations/{name}"] = rows
            group["actions"] = episode.actions
            group["rewards"] = episode.rewards
            group["terminations"] = np.arange(len(episode.actions)) == len(episode.actions) - 1
            group["truncations"] = np.zeros(len(episode.actions), bool)
            group["infos/is_success"] = np.full(len(episode.actions) + 1, episode.success)
    metadata = {
        "data_format": "hdf5",
        "dataset_id": "arm/reach-v0",
        "action_space": box([-1.0, -1.0], [1.0, 1.0]),
        "observation_space": json.dumps({"type": "Dict", "subspaces": {}}),
    }
    (folder / "data/metadata.json").write_text(json.dumps(metadata))
    return folder


def write_npz(episodes: list[Recorded], folder: Path) -> Path:
    names = episodes[0].observations
    ends = [np.arange(len(e.actions)) == len(e.actions) - 1 for e in episodes]
    now = {
        f"observations/{name}": np.concatenate([e.observations[name][:-1] for e in episodes])
        for name in names
    }
    after = {
        f"next_observations/{name}": np.concatenate([e.observations[name][1:] for e in episodes])
        for name in names
    }
    np.savez(
        folder / "reach.npz",
        **now,
        **after,
        actions=np.concatenate([e.actions for e in episodes]),
        rewards=np.concatenate([e.rewards for e in episodes]),
        terminals=np.concatenate(ends),
        is_success=np.array([e.success for e in episodes]),
    )
    return folder / "reach.npz"


def write_webdataset(episodes: list[Recorded], folder: Path) -> Path:
    import webdataset

    path = folder / "reach.tar"
    with webdataset.TarWriter(str(path)) as tar:
        for index, episode in enumerate(episodes):
            arrays = {f"obs.{name}.npy": rows for name, rows in episode.observations.items()}
            said = {"task": "lift", "is_success": episode.success}
            tar.write(
                {
                    "__key__": f"{index:06d}",
                    **arrays,
                    "actions.npy": episode.actions,
                    "rewards.npy": episode.rewards,
                    "meta.json": said,
                }
            )
    return path
