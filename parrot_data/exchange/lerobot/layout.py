"""What LeRobot v3.0 calls its files, its features and what is in them.

A dataset is a folder: `meta/info.json` describes it, `data` and `meta/episodes` hold a row a step
and a row an episode. A row has the observation before its action, so that of an episode of T + 1
observations the last one has no row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from parrot_data.episodes.spec import EpisodeSpec, ImageSpec
from parrot_data.errors import UserError

try:
    import pyarrow as pa
except ModuleNotFoundError:  # it comes with the extra `exchange`
    pa = None

VERSION = "v3.0"
INFO, STATISTICS, TASKS = "meta/info.json", "meta/stats.json", "meta/tasks.parquet"
EPISODES_FOLDER, DATA_FOLDER, VIDEO_FOLDER = "meta/episodes", "data", "videos"
_FILE = "chunk-{chunk_index:03d}/file-{file_index:03d}"
DATA_PATH = f"{DATA_FOLDER}/{_FILE}.parquet"
VIDEO_PATH = f"{VIDEO_FOLDER}/{{video_key}}/{_FILE}.mp4"
PARQUET_PATH = f"{_FILE}.parquet"
FILES_PER_CHUNK = 1000
DATA_FILE_MB, VIDEO_FILE_MB = 100, 200  # a file that reached it takes no further episode

IMAGES, OBSERVATION, STATE = "observation.images.", "observation.", "observation.state"
ACTION, REWARD, DONE = "action", "next.reward", "next.done"
# Of Gymnasium: done, and no end that the environment made. LeRobot names it too.
TRUNCATED, SUCCESS = "next.truncated", "next.success"
TIMESTAMP, FRAME, EPISODE, INDEX, TASK = (
    "timestamp", "frame_index", "episode_index", "index", "task_index",
)  # fmt: skip
NAME = "parrot_name"  # in a feature, the observation's name where the key does not tell it


@dataclass(frozen=True)
class Feature:
    """A column of the data, or a video beside it.

    Attributes:
        dtype: "image", "video", or a number's as numpy spells it.
        shape: of one row; (height, width, 3) of an image.
        names: of its dimensions; None for LeRobot's own columns.
        name: of the observation, where the key does not tell it.
        info: of a video, as LeRobot describes it.
    """

    dtype: str
    shape: tuple[int, ...]
    names: tuple[str, ...] | None = None
    name: str = ""
    info: Mapping[str, Any] | None = None

    @property
    def is_image(self) -> bool:
        """Whether it is one, in a video or not."""
        return self.dtype in ("image", "video")

    def json(self) -> dict[str, Any]:
        """As `info.json` has it."""
        names = None if self.names is None else list(self.names)
        said: dict[str, Any] = {"dtype": self.dtype, "shape": list(self.shape), "names": names}
        said |= {NAME: self.name} if self.name else {}
        return said | ({"info": dict(self.info)} if self.info else {})

    def arrow(self) -> Any:
        """The Arrow type of the column."""
        if self.dtype == "image":
            return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
        number = pa.bool_() if self.dtype == "bool" else pa.from_numpy_dtype(self.dtype)
        return number if self.shape == (1,) else pa.list_(number, self.shape[0])

    def huggingface(self) -> dict[str, Any]:
        """The column as the package `datasets` describes it, for who reads without LeRobot."""
        if self.dtype == "image":
            return {"_type": "Image"}
        value = {"dtype": self.dtype, "_type": "Value"}
        if self.shape == (1,):
            return value
        return {"feature": value, "length": self.shape[0], "_type": "List"}


def keys_of(spec: EpisodeSpec) -> dict[str, str]:
    """LeRobot's key of each observation, by its name.

    A vector that is the only one is `observation.state`, which LeRobot's policies read.
    """
    keys = {name: f"{IMAGES}{name}" for name in spec.images}
    keys |= {name: f"{OBSERVATION}{name}" for name in spec.vectors}
    if len(spec.vectors) == 1:
        keys[next(iter(spec.vectors))] = STATE
    return keys


def features_of(spec: EpisodeSpec, *, image: str = "image") -> dict[str, Feature]:
    """The features, in their order; `image` is what images are: "image" or "video"."""
    features = {}
    for name, key in keys_of(spec).items():
        each = spec.observations[name]
        if isinstance(each, ImageSpec):
            features[key] = Feature(image, each.shape, ("height", "width", "channels"))
        else:
            is_renamed = key != f"{OBSERVATION}{name}"
            names = tuple(f"{name}_{i}" for i in range(each.dim))
            features[key] = Feature("float32", (each.dim,), names, name if is_renamed else "")
    names = tuple(f"action_{i}" for i in range(spec.action.dim))
    features[ACTION] = Feature("float32", (spec.action.dim,), names)
    features[REWARD] = Feature("float32", (1,))
    features |= {key: Feature("bool", (1,)) for key in (DONE, TRUNCATED, SUCCESS)}
    features[TIMESTAMP] = Feature("float32", (1,))
    return features | {key: Feature("int64", (1,)) for key in (FRAME, EPISODE, INDEX, TASK)}


def name_of(key: str, feature: Mapping[str, Any]) -> str:
    """Name of an observation by its key, or as the feature itself has it."""
    said = feature.get(NAME)
    if isinstance(said, str):
        return said
    return key.removeprefix(IMAGES) if key.startswith(IMAGES) else key.removeprefix(OBSERVATION)


def need_pyarrow() -> None:
    """Raise UserError unless pyarrow is installed."""
    if pa is None:
        raise UserError(
            "LeRobot's format needs pyarrow: install Parrot's extra `exchange` "
            "(`pip install 'parrot-priors[exchange]'`), then give the same command again."
        )
