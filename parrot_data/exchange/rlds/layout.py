"""What RLDS calls its files and features, as tensorflow_datasets (TFDS) stores them.

A dataset is a folder NAME/VERSION: `dataset_info.json` names the files of records, `features.json`
describes a record, which is an episode. Its `steps` are T + 1 of an episode of T actions: of the
last one only the observation means anything (google-research/rlds, "Dataset format").
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from parrot_data.episodes.spec import EpisodeSpec, ImageSpec

INFO, FEATURES = "dataset_info.json", "features.json"
SPLIT, VERSION, PREFIX = "train", "1.0.0", "parrot_"
TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"

# Of a record, as TFDS flattens it.
OBSERVATION, STEPS, METADATA = "steps/observation", "steps/", "episode_metadata/"
ACTION, REWARD, DISCOUNT = "steps/action", "steps/reward", "steps/discount"
IS_FIRST, IS_LAST, IS_TERMINAL = "steps/is_first", "steps/is_last", "steps/is_terminal"
TASK, SUCCESS = f"{METADATA}task", f"{METADATA}success"

_CLASSES = "tensorflow_datasets.core.features"
_MAX_DEPTH = 20  # of features in each other


@dataclass(frozen=True)
class Leaf:
    """A feature that has values of its own.

    Attributes:
        kind: of "number", "image" and "text", or "other", which nothing here reads.
        shape: of one value; None where not all of it is said.
        dtype: of numbers and pixels, as numpy spells it.
    """

    kind: Literal["number", "image", "text", "other"]
    shape: tuple[int, ...] | None
    dtype: str


def dataset_name(title: str) -> str:
    """A name that TFDS takes for a dataset."""
    return PREFIX + (re.sub(r"[^a-z0-9]+", "_", title.lower())[:60].strip("_") or "episodes")


def shard_name(dataset: str, split: str, index: int, count: int, template: str = TEMPLATE) -> str:
    """Name of a file of records; parts of the template that are not known stay as they are."""
    parts = {
        "DATASET": dataset,
        "SPLIT": split,
        "FILEFORMAT": "tfrecord",
        "SHARD_INDEX": f"{index:05d}",
        "NUM_SHARDS": f"{count:05d}",
        "SHARD_X_OF_Y": f"{index:05d}-of-{count:05d}",
    }
    return re.sub(r"{([A-Z_]+)}", lambda found: parts.get(found[1], found[0]), template)


def features_of(spec: EpisodeSpec) -> dict[str, Any]:
    """`features.json` of an export."""
    seen = {
        name: _image(each) if isinstance(each, ImageSpec) else _tensor(each.shape, "float32")
        for name, each in spec.observations.items()
    }
    step = {
        "observation": _dict(seen),
        "action": _tensor((spec.action.dim,), "float32"),
        "reward": _tensor((), "float32"),
        "discount": _tensor((), "float32"),
        **{name: _tensor((), "bool") for name in ("is_first", "is_last", "is_terminal")},
    }
    steps = _class("dataset_feature.Dataset", "sequence", {"feature": _dict(step), "length": "-1"})
    metadata = {"task": _class("text_feature.Text", "text", {}), "success": _tensor((), "bool")}
    return _dict({"steps": steps, "episode_metadata": _dict(metadata)})


def _dict(features: Mapping[str, Any]) -> dict[str, Any]:
    return _class("features_dict.FeaturesDict", "featuresDict", {"features": dict(features)})


def _tensor(shape: tuple[int, ...], dtype: str) -> dict[str, Any]:
    name = "tensor_feature.Tensor" if shape else "scalar.Scalar"
    said = {"dtype": dtype, "encoding": "none", "shape": _shape(shape)}
    return _class(name, "tensor", said)


def _image(spec: ImageSpec) -> dict[str, Any]:
    said = {"dtype": "uint8", "encodingFormat": "png", "shape": _shape(spec.shape)}
    return _class("image_feature.Image", "image", said)


def _shape(shape: tuple[int, ...]) -> dict[str, Any]:
    return {"dimensions": list(map(str, shape))} if shape else {}


def _class(name: str, kind: str, said: Mapping[str, Any]) -> dict[str, Any]:
    return {"pythonClassName": f"{_CLASSES}.{name}", kind: said}


def leaves_of(features: Mapping[str, Any]) -> dict[str, Leaf]:
    """The leaves of a `features.json`, by their names in a record.

    Raises:
        ValueError: it is no such file.
    """
    if not isinstance(features.get("featuresDict"), dict):
        raise ValueError("it has no featuresDict")
    return dict(_leaves("", features, is_step=False, depth=0))


def _leaves(name: str, feature: object, *, is_step: bool, depth: int) -> Iterator[tuple[str, Leaf]]:
    if not isinstance(feature, dict) or depth > _MAX_DEPTH:
        raise ValueError(f"{ascii(name)[:100]} is no feature")
    children = _at(feature, "featuresDict", "features")
    if isinstance(children, dict):
        for key, child in children.items():
            where = f"{name}/{key}" if name else key
            yield from _leaves(where, child, is_step=is_step, depth=depth + 1)
    elif f"{name}/" == STEPS and isinstance(_at(feature, "sequence", "feature"), dict):
        steps = feature["sequence"]["feature"]
        yield from _leaves(name, steps, is_step=True, depth=depth + 1)
    else:
        yield name, _leaf(feature)


def _leaf(feature: Mapping[str, Any]) -> Leaf:
    tensor, image = feature.get("tensor"), feature.get("image")
    if isinstance(image, dict):
        return Leaf("image", _read_shape(image), str(image.get("dtype") or "uint8"))
    if "text" in feature:
        return Leaf("text", (), "string")
    if not isinstance(tensor, dict) or tensor.get("encoding", "none") not in ("", "none"):
        return Leaf("other", None, "")
    dtype = str(tensor.get("dtype"))
    is_text = dtype in ("string", "object")
    return Leaf("text" if is_text else "number", _read_shape(tensor), dtype)


def _read_shape(said: Mapping[str, Any]) -> tuple[int, ...] | None:
    dimensions = _at(said, "shape", "dimensions")
    if dimensions is None:
        return ()
    if not isinstance(dimensions, list):
        return None
    found = [int(each) for each in dimensions if re.fullmatch(r"[1-9][0-9]{0,9}", str(each))]
    return tuple(found) if len(found) == len(dimensions) else None


def _at(said: object, *keys: str) -> object:
    for key in keys:
        said = said.get(key) if isinstance(said, dict) else None
    return said
