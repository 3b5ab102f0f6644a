"""LeRobot's side of `check_lerobot`: loads what Parrot wrote, and writes the same itself.

It runs in an environment of LeRobot's.

Each folder it is given holds `exported`, a dataset of Parrot's, and `expected.npz`, what must be in
it. Imports nothing of Parrot's, and never reads how Parrot reads.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import torch
from lerobot.configs.types import FeatureType
from lerobot.datasets.lerobot_dataset import LeRobotDataset
from lerobot.datasets.utils import DEFAULT_FEATURES, dataset_to_policy_features
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy

PACKAGES = ("lerobot", "torch", "datasets", "pyarrow", "pandas", "numpy", "pillow")
OWN = ("index", "episode_index", "frame_index", "task_index", "timestamp")
BACKEND = "pyav"  # torchcodec asks for ffmpeg on the system
MOST_ERROR = 8.0  # levels of 255, of a frame of a video on average
CHUNK = 4  # actions that a policy is asked for at once
Expected = dict[str, np.ndarray]


class DifferentError(Exception):
    """LeRobot reads something else than was exported."""


def must(holds: bool, what: str) -> None:
    """Raise DifferentError unless it holds."""
    if not holds:
        raise DifferentError(what)


def loaded(root: Path, **options: Any) -> LeRobotDataset:
    """A dataset in a folder; nothing is asked of any hub."""
    return LeRobotDataset("parrot/check", root=root, video_backend=BACKEND, **options)


def check_frames(data: LeRobotDataset, expected: Expected) -> str:
    """Every frame, feature by feature, to the last bit."""
    lengths, fps = expected["lengths"], float(expected["fps"])
    must(data.num_episodes == len(lengths), "num_episodes")
    must(len(data) == lengths.sum(), "number of frames")
    must(data.fps == fps, "fps")
    features = sorted(key.removeprefix("rows/") for key in expected if key.startswith("rows/"))
    must(set(features) == set(data.features) - set(OWN), "names of features")
    for index in range(len(data)):
        item = data[index]
        episode = int(np.searchsorted(np.cumsum(lengths), index, side="right"))
        frame = index - int(lengths[:episode].sum())
        where = f"episode {episode}, frame {frame}"
        for key in features:
            is_video = data.features[key]["dtype"] == "video"
            wanted = expected[f"rows/{key}"][index]
            check_row(item[key], wanted, f"{where}: {key}", is_video=is_video)
        own = {"index": index, "episode_index": episode, "frame_index": frame}
        for key, value in own.items():
            must(item[key].item() == value, f"{where}: {key}")
        must(item["timestamp"].item() == np.float32(frame / fps), f"{where}: timestamp")
        must(item["task"] == str(expected["tasks"][episode]), f"{where}: task")
    videos = [key for key in features if key in data.meta.video_keys]
    equal = [key for key in features if key not in videos]
    lossy = f", and within {MOST_ERROR:g} levels of 255 in {', '.join(videos)}" if videos else ""
    episodes = f"{len(data)} frames of {len(lengths)} episodes"
    return f"{episodes} are equal in {', '.join(equal)}{lossy}"


def check_row(found: torch.Tensor, wanted: np.ndarray, where: str, *, is_video: bool) -> None:
    """A value of a frame; images come channels first, in [0, 1]."""
    if wanted.ndim == 3:
        must(found.dtype == torch.float32 and found.shape[0] == 3, f"{where}: kind of image")
        found = found.permute(1, 2, 0) * 255
        must(bool((found - found.round()).abs().max() < 1e-3), f"{where}: levels")
        found = found.round().to(torch.uint8)
    if is_video:
        error = np.abs(found.numpy().astype(float) - wanted).mean()
        must(found.shape == wanted.shape and error < MOST_ERROR, f"{where}: off by {error}")
        return
    array = found.numpy().reshape(wanted.shape)
    must(array.dtype == wanted.dtype and array.tobytes() == wanted.tobytes(), where)


def check_episodes(data: LeRobotDataset, expected: Expected) -> str:
    """Where each episode begins and ends, and one loaded without the others."""
    ends = np.cumsum(expected["lengths"])
    for number, episode in enumerate(data.meta.episodes):
        begins = ends[number] - expected["lengths"][number]
        must(episode["dataset_from_index"] == begins, f"begin of episode {number}")
        must(episode["dataset_to_index"] == ends[number], f"end of episode {number}")
        must(episode["tasks"] == [str(expected["tasks"][number])], f"tasks of episode {number}")
        must((data.root / data.meta.get_data_file_path(number)).is_file(), "path of its data")
    last = len(ends) - 1
    alone = loaded(data.root, episodes=[last])
    must(len(alone) == expected["lengths"][last], "length of an episode alone")
    must(torch.equal(alone[0]["action"], data[int(ends[last - 1])]["action"]), "episode alone")
    return "episodes begin and end where they should, and one loads without the others"


def check_statistics(data: LeRobotDataset, expected: Expected) -> str:
    """`meta.stats` against numpy's on what was exported."""
    for key in data.features:
        if key in OWN:
            continue
        rows = expected[f"rows/{key}"].astype(np.float64)
        is_image = rows.ndim == 4
        flat = (rows / 255).reshape(-1, 3) if is_image else rows.reshape(len(rows), -1)
        found = data.meta.stats[key]
        for name in ("min", "max", "mean", "std"):
            wanted = getattr(flat, name)(axis=0).reshape((3, 1, 1) if is_image else -1)
            must(found[name].shape == wanted.shape, f"shape of {name} of {key}")
            must(np.allclose(found[name], wanted, rtol=1e-6, atol=1e-7), f"{name} of {key}")
        must(found["count"].tolist() == [len(rows)], f"count of {key}")
    return "statistics are those of the frames"


def check_windows(data: LeRobotDataset, expected: Expected) -> str:
    """Chunks of actions by `delta_timestamps`, padded where an episode ends."""
    times = {"action": [step / data.fps for step in range(CHUNK)]}
    chunked = loaded(data.root, delta_timestamps=times)
    actions, ends = expected["rows/action"], np.cumsum(expected["lengths"])
    for index in range(len(data)):
        item, end = chunked[index], int(ends[np.searchsorted(ends, index, side="right")])
        steps = np.arange(index, index + CHUNK)
        wanted = actions[np.minimum(steps, end - 1)]
        # An action of one number is to LeRobot a number, and no vector of one.
        found = item["action"].numpy().reshape(wanted.shape)
        must(np.array_equal(found, wanted), f"chunk of actions at {index}")
        must(item["action_is_pad"].tolist() == (steps >= end).tolist(), f"padding at {index}")
    return f"chunks of {CHUNK} actions end with their episodes"


def check_policy(data: LeRobotDataset) -> str:
    """A gradient step of LeRobot's ACT, where the dataset has what that needs."""
    if not data.meta.camera_keys or "observation.state" not in data.features:
        return "ACT needs images and observation.state, so it was not tried"
    torch.manual_seed(0)
    features = dataset_to_policy_features(data.features)
    seen = {k: v for k, v in features.items() if v.type is not FeatureType.ACTION}
    small = {"dim_model": 32, "dim_feedforward": 32, "n_heads": 2, "latent_dim": 4}
    policy = ACTPolicy(
        ACTConfig(
            input_features=seen,
            output_features={"action": features["action"]},
            chunk_size=CHUNK,
            n_action_steps=CHUNK,
            pretrained_backbone_weights=None,
            device="cpu",
            **small,
        )
    )
    times = {"action": [step / data.fps for step in range(CHUNK)]}
    chunked = loaded(data.root, delta_timestamps=times)
    batch = next(iter(torch.utils.data.DataLoader(chunked, batch_size=8)))
    loss, _ = policy.forward(batch)
    loss.backward()
    must(bool(torch.isfinite(loss)), "the loss of ACT")
    return "LeRobot's ACT takes a gradient step on it"


def write_own(data: LeRobotDataset, expected: Expected, root: Path) -> LeRobotDataset:
    """The same frames in a dataset that LeRobot itself writes."""
    features = {
        key: {name: value for name, value in each.items() if name != "info"}
        for key, each in data.features.items()
        if key not in DEFAULT_FEATURES
    }
    own = LeRobotDataset.create(
        data.repo_id,
        fps=data.fps,
        features=features,
        root=root,
        use_videos=bool(data.meta.video_keys),
        vcodec="h264",
    )
    index = 0
    for length, task in zip(expected["lengths"], expected["tasks"], strict=True):
        for _ in range(int(length)):
            rows = {key: expected[f"rows/{key}"][index] for key in features}
            own.add_frame({**rows, "task": str(task)})
            index += 1
        own.save_episode()
    own.finalize()
    read = loaded(root)
    for key in read.meta.video_keys:
        frames = [(item[key] * 255).round().to(torch.uint8) for item in read]
        np.save(root.parent / f"{key}.npy", torch.stack(frames).permute(0, 2, 3, 1).numpy())
    return own


def check_schemas(ours: Path, own: Path) -> str:
    """Names, types and order of all columns, and of what `meta/info.json` says."""
    files, there = files_in(own), files_in(ours)
    must(files == there, f"files: {there} where LeRobot writes {files}")
    for name in files:
        if name.endswith(".parquet"):
            wanted, found = types_of(own / name), types_of(ours / name)
            must(list(found) == list(wanted), f"order or names of columns of {name}")
            for column, kind in wanted.items():
                must(found[column] == kind, f"{name}: {column} is {found[column]}, not {kind}")
    infos = [json.loads((root / "meta/info.json").read_text()) for root in (ours, own)]
    must(list(infos[0]) == list(infos[1]), "keys of info.json")
    for key, wanted in infos[1].items():
        if key != "total_tasks":
            must(infos[0][key] == wanted, f"info.json: {key}: {infos[0][key]}, not {wanted}")
    return "columns, their types, files and info.json are as LeRobot itself writes them"


def files_in(root: Path) -> list[str]:
    """Names of all files under a folder."""
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def types_of(path: Path) -> dict[str, str]:
    """The type of each column; strings of 32 and 64 bits are one to every reader."""
    schema = pq.read_schema(path)
    return {each.name: str(each.type).replace("large_string", "string") for each in schema}


def check(folder: Path) -> list[str]:
    """All of it, in one folder; a sentence each."""
    with np.load(folder / "expected.npz") as archive:
        expected = dict(archive)
    data = loaded(folder / "exported")
    said = [
        check_frames(data, expected),
        check_episodes(data, expected),
        check_statistics(data, expected),
        check_windows(data, expected),
        check_policy(data),
    ]
    own = write_own(data, expected, folder / "own")
    said.append(check_schemas(data.root, own.root))
    return said


def main(folders: list[str]) -> int:
    """Check each folder; what was found is printed as JSON, in the last line."""
    found: dict[str, Any] = {"versions": {name: version(name) for name in PACKAGES}, "said": {}}
    try:
        for folder in folders:
            found["said"][folder] = check(Path(folder))
    except DifferentError as error:
        found["different"] = f"{Path(folder).name}: {error}"
    sys.stdout.write("\n" + json.dumps(found) + "\n")
    return "different" in found


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
