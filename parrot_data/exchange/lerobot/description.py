"""What `meta` of a LeRobot dataset says, held against what can be imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from parrot_data.episodes.episode import MAX_STEPS
from parrot_data.episodes.spec import MAX_DIM, MAX_SIDE
from parrot_data.errors import UserError
from parrot_data.exchange.lerobot.layout import (
    ACTION,
    DONE,
    EPISODE,
    EPISODES_FOLDER,
    FRAME,
    INDEX,
    INFO,
    OBSERVATION,
    REWARD,
    TASK,
    TASKS,
    TIMESTAMP,
    TRUNCATED,
    VERSION,
    VIDEO_PATH,
    name_of,
)
from parrot_data.exchange.lerobot.tables import Rows, num_rows, numbers_of, parquet_files, reading
from parrot_data.exchange.recording import json_object, listed, regular_file, shown

try:
    import pyarrow as pa
except ModuleNotFoundError:  # it comes with the extra `exchange`
    pa = None

_MAX_INFO_BYTES = 1 << 24
_MAX_TASKS, _MAX_TASK = 1_000_000, 10_000  # and letters of one
_OF_VIDEO = ("chunk_index", "file_index", "from_timestamp")
_OF_ROWS = (TIMESTAMP, FRAME, EPISODE, INDEX, TASK)


@dataclass(frozen=True)
class Column:
    """A feature that is read.

    Attributes:
        key: its name in the data.
        shape: of one row; () of a single number.
        is_video: whether it lies in files of its own.
    """

    key: str
    shape: tuple[int, ...]
    is_video: bool = False

    @property
    def is_image(self) -> bool:
        """Whether it is one, in a video or not."""
        return len(self.shape) == 3


@dataclass(frozen=True)
class Description:
    """What `meta/info.json` says, of which only a part can be kept.

    Attributes:
        fps: rows a second.
        observations: by their names.
        action: the action.
        flags: features of a single number, by key: reward, done, and what may tell a success.
        left_out: keys of features that are not kept.
    """

    fps: float
    observations: dict[str, Column]
    action: Column
    flags: dict[str, Column]
    left_out: list[str] = field(default_factory=list)


def described(root: Path) -> Description:
    """Read `meta/info.json`.

    Raises:
        UserError: it is of no dataset of LeRobot v3's, or that has nothing to import.
    """
    path = regular_file(root / INFO)
    if path.stat().st_size > _MAX_INFO_BYTES:
        raise UserError(f"{path} has more than {_MAX_INFO_BYTES} bytes: it is no info.json.")
    said = json_object(path.read_text(encoding="utf-8", errors="replace"))
    _check_version(said.get("codebase_version"), path)
    fps = said.get("fps")
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < 1e6:
        raise UserError(f"{path} says fps {shown(fps)}: write the rows a second, above 0.")
    features = said.get("features")
    if not isinstance(features, dict) or not all(isinstance(f, dict) for f in features.values()):
        raise UserError(f"{path} names no features: restore it, or download the dataset again.")
    seen, left_out = {}, []
    for key, feature in features.items():
        column = _column_of(key, feature) if key.startswith(OBSERVATION) else None
        if column is not None:
            seen[key] = column
        elif key not in (*_OF_ROWS, ACTION, REWARD, DONE, TRUNCATED):
            left_out.append(key)
    action = _column_of(ACTION, features.get(ACTION, {}))
    if action is None or len(action.shape) > 1:
        raise UserError(f"{path}: it has no {ACTION}, a vector: rename or add the feature.")
    if not seen:
        raise UserError(
            f"{path}: none of its features {listed(list(features))} is a vector or an RGB image "
            f"called {OBSERVATION}NAME: rename or add one."
        )
    flags = {key: Column(key, ()) for key, each in features.items() if _is_flag(key, each)}
    return Description(
        fps=float(fps),
        observations=_named(seen, features),
        action=Column(ACTION, action.shape or (1,)),
        flags=flags,
        left_out=left_out,
    )


def _check_version(version: object, path: Path) -> None:
    if isinstance(version, str) and version.split(".")[0] == VERSION.split(".")[0]:
        return
    remedy = "name the folder of a dataset of LeRobot v3's"
    if isinstance(version, str) and version.startswith("v2"):
        remedy = "let LeRobot's convert_dataset_v21_to_v30 convert it first"
    raise UserError(f"{path} says codebase_version {shown(version)}, not {VERSION}: {remedy}.")


def _named(seen: Mapping[str, Column], features: Mapping[str, Any]) -> dict[str, Column]:
    """Observations by what comes after the prefix; by the whole key where two would be one."""
    names = {key: name_of(key, features[key]) for key in seen}
    lowered = [name.lower() for name in names.values()]
    return {
        name if lowered.count(name.lower()) == 1 else key: seen[key] for key, name in names.items()
    }


def _column_of(key: str, feature: Mapping[str, Any]) -> Column | None:
    """A feature that is an RGB image or a vector; None for whatever else it is."""
    dtype, shape = feature.get("dtype"), feature.get("shape")
    if not isinstance(dtype, str) or not isinstance(shape, list) or not key or "/" in key:
        return None
    if not all(type(side) is int and side >= 1 for side in shape):
        return None
    if dtype in ("image", "video"):
        size = _image_shape(shape)
        return Column(key, size, is_video=dtype == "video") if size else None
    is_number = dtype.startswith(("float", "int", "uint", "bool"))
    return Column(key, tuple(shape)) if is_number and _is_vector(shape) else None


def _is_vector(shape: list[int]) -> bool:
    return len(shape) == 1 and shape[0] <= MAX_DIM


def _image_shape(shape: list[int]) -> tuple[int, int, int] | None:
    """Height, width and 3, whether the channels come last or first; None if it is not RGB."""
    if len(shape) != 3 or max(shape) > MAX_SIDE:
        return None
    if shape[2] == 3:
        return (shape[0], shape[1], 3)
    return (shape[1], shape[2], 3) if shape[0] == 3 else None


def _is_flag(key: str, feature: Mapping[str, Any]) -> bool:
    column = _column_of(key, feature)
    return column is not None and column.shape == (1,) and not key.startswith(OBSERVATION)


@dataclass(frozen=True)
class Span:
    """An episode, as `meta/episodes` has it.

    Attributes:
        index: its number.
        length: how many rows it has.
        videos: of each feature that is one, by key, the file and the time of the first frame, s.
    """

    index: int
    length: int
    videos: dict[str, tuple[Path, float]]


def spans_of(root: Path, num_steps: int, videos: Sequence[str]) -> list[Span]:
    """The episodes, in the order of their rows.

    Args:
        root: folder of the dataset.
        num_steps: rows of the data.
        videos: keys of the features that are.

    Raises:
        UserError: `meta/episodes` is damaged, or its lengths are not those of the data.
    """
    paths = parquet_files(root, EPISODES_FOLDER)
    places = [f"videos/{key}/{each}" for key in videos for each in _OF_VIDEO]
    found: list[Span] = []
    for path, batch in Rows(paths, [EPISODE, "length", *places]).take(num_rows(paths)):
        columns = {}
        for name in (EPISODE, "length", *places):
            with reading(path):
                numbers = numbers_of(batch.column(name), (), f"{path}: {name}")
            if numbers.dtype.kind not in "iu" and not name.endswith(_OF_VIDEO[-1]):
                raise UserError(f"{path}: {name} is {numbers.dtype}, no whole numbers: mend it.")
            columns[name] = numbers.tolist()
        for row, index in enumerate(columns[EPISODE]):
            there = {key: _video_of(root, key, columns, row) for key in videos}
            found.append(Span(index, columns["length"][row], there))
    for span in found:
        if not 1 <= span.length <= MAX_STEPS:
            raise UserError(
                f"{root / EPISODES_FOLDER}: episode {span.index} has {span.length} steps, 1 to "
                f"{MAX_STEPS} are known: drop it."
            )
    total = sum(span.length for span in found)
    if total != num_steps:
        raise UserError(
            f"{root / EPISODES_FOLDER} counts {total} steps, the data have {num_steps}: download "
            "the whole dataset."
        )
    return found


def _video_of(
    root: Path, key: str, columns: Mapping[str, list[Any]], row: int
) -> tuple[Path, float]:
    chunk, file, start = (columns[f"videos/{key}/{each}"][row] for each in _OF_VIDEO)
    return root / VIDEO_PATH.format(video_key=key, chunk_index=chunk, file_index=file), start


def tasks_of(root: Path) -> dict[int, str]:
    """Names of the tasks, by their numbers.

    Raises:
        UserError: `meta/tasks.parquet` is missing, damaged, or too large.
    """
    path = regular_file(root / TASKS)
    count = num_rows([path])
    if count > _MAX_TASKS:
        raise UserError(f"{path} names {count} tasks, {_MAX_TASKS} at most: drop some.")
    with reading(path), pa.parquet.ParquetFile(path) as file:
        texts = [
            each.name
            for each in file.schema_arrow
            if pa.types.is_string(each.type) or pa.types.is_large_string(each.type)
        ]
    if len(texts) != 1:
        raise UserError(f"{path} has no column of names, or several: restore it.")
    tasks: dict[int, str] = {}
    for _, batch in Rows([path], [TASK, texts[0]]).take(count):
        with reading(path):
            numbers = numbers_of(batch.column(TASK), (), f"{path}: {TASK}").tolist()
            names = batch.column(texts[0]).to_pylist()
        if not all(isinstance(name, str) and len(name) <= _MAX_TASK for name in names):
            raise UserError(f"{path} names a task by nothing, or by too many letters: mend it.")
        tasks.update(zip(numbers, names, strict=True))
    return tasks
