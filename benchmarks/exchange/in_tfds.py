"""TensorFlow's side of `check_rlds`: loads what Parrot wrote, and writes the same itself.

It runs in an environment with tensorflow_datasets.

Each folder it is given holds `exported`, an export of Parrot's, and `expected.npz`, what must be in
it. Imports nothing of Parrot's, and never reads how Parrot reads.
"""

from __future__ import annotations

import json
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

PACKAGES = ("tensorflow-cpu", "tensorflow-datasets", "protobuf", "numpy")
Expected = dict[str, np.ndarray]
ONE_BY_ONE = tfds.ReadConfig(interleave_cycle_length=1)  # files in their order


class DifferentError(Exception):
    """TensorFlow reads something else than was exported."""


def must(holds: bool, what: str) -> None:
    """Raise DifferentError unless it holds."""
    if not holds:
        raise DifferentError(what)


def steps_of(expected: Expected, index: int) -> Expected:
    """Rows of an episode, by their names in a record."""
    start = f"{index}/"
    return {key.removeprefix(start): expected[key] for key in expected if key.startswith(start)}


def flat(step: dict[str, Any], prefix: str = "steps") -> dict[str, Any]:
    """A nested step by names of a record."""
    found: dict[str, Any] = {}
    for key, value in step.items():
        name = f"{prefix}/{key}"
        found |= flat(value, name) if isinstance(value, dict) else {name: value}
    return found


def check_steps(builder: Any, expected: Expected) -> str:
    """Every step, feature by feature, to the last bit."""
    data, num_steps = builder.as_dataset(split="train", read_config=ONE_BY_ONE), 0
    must(len(data) == int(expected["num_episodes"]), "number of episodes")
    for index, episode in enumerate(data):
        rows = steps_of(expected, index)
        metadata = episode["episode_metadata"]
        must(metadata["task"].numpy().decode() == str(rows.pop("task")), f"{index}: task")
        must(bool(metadata["success"].numpy()) == bool(rows.pop("success")), f"{index}: success")
        count = 0
        for count, step in enumerate(episode["steps"].as_numpy_iterator(), 1):
            found = flat(step)
            must(found.keys() == rows.keys(), f"{index}: names of features")
            for key, value in found.items():
                wanted = rows[key][count - 1]
                must(value.dtype == wanted.dtype, f"{key}: {value.dtype}, not {wanted.dtype}")
                must(np.array_equal(value, wanted), f"episode {index}, step {count - 1}: {key}")
        must(count == len(rows["steps/action"]), f"{index}: number of steps")
        num_steps += count
    files = len(builder.info.splits["train"].filenames)
    return (
        f"{len(data)} episodes in {files} file{'s'[: files > 1]}, {num_steps} steps: all features "
        "are those of the dataset"
    )


def check_batches(builder: Any, expected: Expected) -> str:
    """Transitions of all episodes, shuffled and in batches, as training asks for them."""

    def pairs(episode: Any) -> Any:
        return episode["steps"].batch(2, drop_remainder=True)

    data = builder.as_dataset(split="train", shuffle_files=True).flat_map(pairs)
    seen = 0
    for batch in data.shuffle(64, seed=0).batch(8).as_numpy_iterator():
        must(not batch["is_last"][:, 0].any(), "a transition begins at the last step")
        seen += len(batch["is_last"])
    wanted = sum(
        len(steps_of(expected, index)["steps/action"]) // 2
        for index in range(int(expected["num_episodes"]))
    )
    must(seen == wanted, f"{seen} pairs of steps in batches, not {wanted}")
    return f"shuffled batches of its pairs of steps are whole: {seen}"


def features_of(rows: Expected) -> Any:
    """The features as who uses tensorflow_datasets says them."""
    kinds = {}
    for key, values in rows.items():
        if values.ndim == 4:
            kinds[key] = tfds.features.Image(shape=values.shape[1:], encoding_format="png")
        elif values.ndim > 1:
            kinds[key] = tfds.features.Tensor(shape=values.shape[1:], dtype=values.dtype)
        else:
            kinds[key] = tfds.features.Scalar(dtype=values.dtype)
    observation = {
        key.removeprefix("steps/observation/"): kind
        for key, kind in kinds.items()
        if key.startswith("steps/observation/")
    }
    rest = {k.removeprefix("steps/"): v for k, v in kinds.items() if "observation" not in k}
    return tfds.features.FeaturesDict(
        {
            "steps": tfds.features.Dataset({"observation": observation, **rest}),
            "episode_metadata": {
                "task": tfds.features.Text(),
                "success": tfds.features.Scalar(dtype=np.bool_),
            },
        }
    )


def write(expected: Expected, folder: Path) -> Path:
    """The same episodes as tensorflow_datasets writes them, in files of three."""
    episodes = []
    for index in range(int(expected["num_episodes"])):
        rows = steps_of(expected, index)
        metadata = {"task": str(rows.pop("task")), "success": bool(rows.pop("success"))}
        steps = []
        for step in range(len(rows["steps/action"])):
            made: dict[str, Any] = {"observation": {}}
            for key, values in rows.items():
                *_, last = key.split("/")
                place = made["observation"] if "observation" in key else made
                place[last] = values[step]
            steps.append(made)
        episodes.append({"steps": steps, "episode_metadata": metadata})
    place = folder / "theirs" / "2.0.0"
    place.mkdir(parents=True)
    identity = tfds.core.dataset_info.DatasetIdentity(
        name="theirs", version=tfds.core.Version("2.0.0"), data_dir=str(place), module_name="theirs"
    )
    info = tfds.core.DatasetInfo(builder=identity, features=features_of(rows))
    writer = tfds.core.SequentialWriter(info, max_examples_per_shard=3)
    writer.initialize_splits(["train"])
    writer.add_examples({"train": episodes})
    writer.close_all()
    return place


def check(root: Path) -> list[str]:
    """Sentences on what holds of an export."""
    expected = dict(np.load(root / "expected.npz"))
    (place,) = (root / "exported").glob("parrot_*/*")
    builder = tfds.builder_from_directory(str(place))
    said = [check_steps(builder, expected), check_batches(builder, expected)]
    loaded = tfds.load(builder.name, data_dir=str(root / "exported"), split="train")
    must(len(loaded) == int(expected["num_episodes"]), "tfds.load")
    theirs = write(expected, root / "own")
    ours, wanted = (json.loads((each / "features.json").read_text()) for each in (place, theirs))
    must(ours == wanted, "features.json")
    said.append("`tfds.load` finds it by its name; its features.json is what TFDS writes itself")
    return said


def main(folders: list[str]) -> None:
    """Print a JSON object: versions, sentences by folder, what differs if anything does."""
    tf.get_logger().setLevel("ERROR")
    found: dict[str, Any] = {
        "versions": {name: version(name) for name in PACKAGES},
        "said": {},
    }
    try:
        for folder in folders:
            found["said"][folder] = check(Path(folder))
    except DifferentError as error:
        found["different"] = str(error)
    sys.stdout.write(f"\n{json.dumps(found)}\n")


if __name__ == "__main__":
    main(sys.argv[1:])
