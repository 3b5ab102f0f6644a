"""What the libraries of the formats make of an export: each by the way its own users read it."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

# Of an episode: actions, rewards (None where that way gives none) and observations by name.
Seen = tuple[np.ndarray, np.ndarray | None, dict[str, np.ndarray]]


def by_robomimic(out: Path, names: list[str]) -> list[Seen]:
    """As `SequenceDataset` of robomimic/utils/dataset.py: load_demo_info, load_dataset_in_memory.

    robomimic itself is too heavy for a test; this is what it does with the file.
    """
    import json

    import h5py

    found = []
    with h5py.File(out / "demo.hdf5", "r", swmr=True, libver="latest") as file:
        env = json.loads(file["data"].attrs["env_args"])  # FileUtils.get_env_metadata_from_dataset
        assert {"env_name", "type", "env_kwargs"} <= env.keys()
        demos = list(file["data"].keys())
        demos = [demos[i] for i in np.argsort([int(demo[5:]) for demo in demos])]
        total = 0
        for demo in demos:
            length = int(file[f"data/{demo}"].attrs["num_samples"])
            total += length
            obs = {name: file[f"data/{demo}/obs/{name}"][()] for name in names}
            after = {name: file[f"data/{demo}/next_obs/{name}"][()] for name in names}
            actions, rewards, dones = (
                file[f"data/{demo}/{key}"][()].astype("float32")
                for key in ("actions", "rewards", "dones")
            )
            assert len(actions) == len(rewards) == len(dones) == length
            assert dones.tolist() == [0.0] * (length - 1) + [1.0]
            whole = {name: np.concatenate([obs[name], after[name][-1:]]) for name in names}
            for name in names:
                np.testing.assert_array_equal(after[name][:-1], obs[name][1:])
            found.append((actions, rewards, whole))
        assert file["data"].attrs["total"] == total
        for mask in file["mask"].values():
            assert {elem.decode("utf-8") for elem in np.array(mask[:])} <= set(demos)
    return found


def by_minari(out: Path, names: list[str]) -> list[Seen]:
    import minari

    dataset = minari.MinariDataset(out / "data")
    assert not dataset.storage.jpeg_encoding
    found = []
    for episode in dataset.iterate_episodes():
        assert episode.terminations[-1] != episode.truncations[-1]
        assert set(episode.observations) == set(names)
        for name, space in dataset.observation_space.spaces.items():
            assert episode.observations[name].dtype == space.dtype
            assert space.contains(episode.observations[name][0])
        found.append((episode.actions, episode.rewards, episode.observations))
    assert dataset.total_episodes == len(found)
    assert dataset.total_steps == sum(len(actions) for actions, _, _ in found)
    return found


def by_ogbench(out: Path, names: list[str]) -> list[Seen]:
    """As ogbench/utils.py, load_dataset: rows of terminals are no transitions, they end them."""
    found = []
    with np.load(out / "episodes.npz", allow_pickle=False) as file:
        terminals = file["terminals"].astype(np.float32)
        is_step = (1.0 - terminals).astype(bool)
        keys = {n: f"observations/{n}" if len(names) > 1 else "observations" for n in names}
        ends = np.flatnonzero(terminals) + 1
        for start, stop in zip([0, *ends[:-1]], ends, strict=True):
            row = slice(start, stop)
            observations = {name: file[key][row] for name, key in keys.items()}
            found.append(
                (file["actions"][row][is_step[row]], file["rewards"][row][:-1], observations)
            )
    return found


def by_diffusion_policy(out: Path, names: list[str]) -> list[Seen]:
    """As `ReplayBuffer` of diffusion_policy/common/replay_buffer.py: create_from_path, __init__."""
    import zarr

    root = zarr.open(str(out / "replay.zarr"), mode="r", zarr_format=2)
    assert "data" in root
    assert "meta" in root
    assert "episode_ends" in root["meta"]
    ends = root["meta"]["episode_ends"][:]
    for value in dict(root["data"].arrays()).values():
        assert value.shape[0] == ends[-1]
    found = []
    for start, stop in zip([0, *ends[:-1]], ends, strict=True):
        data = {name: root["data"][name][start:stop] for name in ("action", "reward", *names)}
        found.append((data.pop("action"), data.pop("reward"), data))
    return found


def by_lerobot(out: Path, names: list[str]) -> list[Seen]:
    """As `LeRobotDataset` of lerobot/datasets: load_nested_dataset, load_episodes; see
    docs/lerobot_check.txt for LeRobot itself.
    """
    import pyarrow as pa
    from pyarrow import parquet

    def rows_of(folder: str) -> pa.Table:
        paths = sorted((out / folder).glob("*/*.parquet"))
        return pa.concat_tables([parquet.read_table(path) for path in paths])

    rows, found = rows_of("data"), []
    for episode in rows_of("meta/episodes").to_pylist():
        there = slice(episode["dataset_from_index"], episode["dataset_to_index"])
        seen = {name: lerobots_rows(rows, name)[there] for name in names}
        actions = np.stack(rows["action"].to_numpy()[there]).reshape(there.stop - there.start, -1)
        found.append((actions, rows["next.reward"].to_numpy()[there], seen))
    return found


def lerobots_rows(rows: Any, name: str) -> np.ndarray:
    if f"observation.images.{name}" in rows.column_names:
        encoded = rows[f"observation.images.{name}"].to_pylist()
        return np.stack([np.asarray(Image.open(io.BytesIO(each["bytes"]))) for each in encoded])
    key = f"observation.{name}"
    vectors = rows[key if key in rows.column_names else "observation.state"].to_pylist()
    return np.array(vectors, dtype=np.float32).reshape(len(vectors), -1)


def by_webdataset(out: Path, names: list[str]) -> list[Seen]:
    import webdataset

    tars = [str(path) for path in sorted(out.glob("shard-*.tar"))]
    found = []
    for sample in webdataset.WebDataset(tars, shardshuffle=False).decode():
        observations = {}
        for name in names:
            ending = f"observation.{name}.npy".lower()
            observations[name] = sample.get(ending, sample.get(f"{ending}.gz"))
        assert isinstance(sample["episode.json"]["task"], str)
        found.append((sample["actions.npy"], sample["rewards.npy"], observations))
    return found


def by_tensorflow_datasets(out: Path, names: list[str]) -> list[Seen]:
    """As `builder_from_directory(...).as_dataset()`; see docs/rlds_check.txt for it itself."""
    from tensorflow_records import read_examples

    (shard,) = out.glob("parrot_*/1.0.0/parrot_*-train.tfrecord-00000-of-00001")
    found = []
    for episode in read_examples(shard):
        num_rows = len(episode["steps/is_first"])
        assert list(episode["steps/is_first"]) == [1] + [0] * (num_rows - 1)
        assert list(episode["steps/is_last"]) == [0] * (num_rows - 1) + [1]
        seen = {}
        for name in names:
            values = episode[f"steps/observation/{name}"]
            seen[name] = (
                np.stack([np.asarray(Image.open(io.BytesIO(each))) for each in values])
                if isinstance(values[0], bytes)
                else np.array(values, dtype=np.float32).reshape(num_rows, -1)
            )
        actions = np.array(episode["steps/action"], dtype=np.float32).reshape(num_rows, -1)
        rewards = np.array(episode["steps/reward"], dtype=np.float32)
        assert not actions[-1].any()
        assert not rewards[-1]
        found.append((actions[:-1], rewards[:-1], seen))
    return found


READERS: dict[str, Callable[[Path, list[str]], list[Seen]]] = {
    "robomimic": by_robomimic,
    "minari": by_minari,
    "npz": by_ogbench,
    "diffusion-policy": by_diffusion_policy,
    "lerobot": by_lerobot,
    "rlds": by_tensorflow_datasets,
    "webdataset": by_webdataset,
}
