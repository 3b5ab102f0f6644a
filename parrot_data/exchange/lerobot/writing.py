"""LeRobot v3.0 datasets, written without LeRobot: images as PNG, lossless, in the data itself."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.exchange.format import ExportOptions
from parrot_data.exchange.lerobot import statistics
from parrot_data.exchange.lerobot.layout import (
    ACTION,
    DATA_FILE_MB,
    DATA_FOLDER,
    DATA_PATH,
    DONE,
    EPISODE,
    EPISODES_FOLDER,
    FILES_PER_CHUNK,
    FRAME,
    INDEX,
    INFO,
    REWARD,
    STATISTICS,
    SUCCESS,
    TASK,
    TASKS,
    TIMESTAMP,
    TRUNCATED,
    VERSION,
    VIDEO_FILE_MB,
    VIDEO_PATH,
    Feature,
    features_of,
    keys_of,
    need_pyarrow,
)
from parrot_data.exchange.lerobot.table_writer import TableWriter, column_of, lists_of, write_tasks
from parrot_data.exchange.lerobot.video import CODEC, VideoWriter, need_av, pixels_of

try:
    import pyarrow as pa
except ModuleNotFoundError:  # it comes with the extra `exchange`
    pa = None

_log = logging.getLogger(__name__)
FPS_WHERE_UNKNOWN = 10  # LeRobot knows no dataset without one
_GROUP_BYTES = 1 << 26  # of rows that are encoded and written at once
_EPISODES_AT_ONCE = 64


def write(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,
    num_episodes: int,
    folder: Path,
    options: ExportOptions,
) -> None:
    """Write `data` and `meta`; see `parrot_data.exchange.format.Write`.

    Raises:
        UserError: pyarrow is not installed.
    """
    need_pyarrow()
    fps = _fps_of(options.control_rate_hz)
    _write(episodes, spec, num_episodes, folder, options, fps, features_of(spec))


def write_video(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,
    num_episodes: int,
    folder: Path,
    options: ExportOptions,
) -> None:
    """Write `data`, `meta` and `videos`, lossy; see `parrot_data.exchange.format.Write`.

    Raises:
        UserError: pyarrow or PyAV is not installed.
    """
    need_pyarrow()
    need_av()
    fps = _fps_of(options.control_rate_hz)
    features = {
        key: replace(each, info=_video_info(each, fps)) if each.dtype == "video" else each
        for key, each in features_of(spec, image="video").items()
    }
    _write(episodes, spec, num_episodes, folder, options, fps, features)


def _write(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,
    num_episodes: int,
    folder: Path,
    options: ExportOptions,
    fps: float,
    features: Mapping[str, Feature],
) -> None:
    columns = {key: each for key, each in features.items() if each.dtype != "video"}
    task_index = {name: number for number, name in enumerate(options.tasks)}
    total, start = statistics.Total(), 0
    with (
        TableWriter(folder / DATA_FOLDER, _data_schema(columns)) as data,
        _EpisodeRows(folder / EPISODES_FOLDER, features) as rows,
        ExitStack() as stack,
    ):
        videos = {
            key: VideoWriter(folder, key, each.shape[:2], fps)
            for key, each in features.items()
            if each.dtype == "video"
        }
        for video in videos.values():
            stack.callback(video.close)
        for number, episode in enumerate(episodes):
            place = data.place()
            table = _columns_of(episode, spec, number, start, task_index[episode.task], fps)
            _write_steps(data, table, columns)
            found = {key: _statistics_of(table[key], features[key]) for key in features}
            total.add(found)
            stop = start + episode.num_steps
            rows.add(
                {
                    EPISODE: number,
                    "tasks": [episode.task],
                    "length": episode.num_steps,
                    "data/chunk_index": place[0],
                    "data/file_index": place[1],
                    "dataset_from_index": start,
                    "dataset_to_index": stop,
                    **{
                        f"videos/{key}/{name}": value
                        for key, video in videos.items()
                        for name, value in video.add(table[key]).items()
                    },
                },
                found,
            )
            start = stop
    write_tasks(folder / TASKS, options.tasks)
    _write_json(folder / STATISTICS, total.json())
    _write_json(folder / INFO, _info_of(features, fps, num_episodes, start, len(options.tasks)))


def _fps_of(control_rate_hz: float | None) -> float:
    """Frames a second; a whole number where it is one, which is what LeRobot itself writes."""
    if control_rate_hz is None:
        _log.warning(
            "the control rate is not known, and LeRobot knows no dataset without one: fps %d is "
            "written; give --control-rate HZ where it is another",
            FPS_WHERE_UNKNOWN,
        )
        return FPS_WHERE_UNKNOWN
    return int(control_rate_hz) if control_rate_hz == int(control_rate_hz) else control_rate_hz


def _columns_of(
    episode: Episode, spec: EpisodeSpec, number: int, start: int, task: int, fps: float
) -> dict[str, NDArray[Any]]:
    """Every feature's T rows."""
    steps = np.arange(episode.num_steps, dtype=np.int64)
    is_last = steps == episode.num_steps - 1
    return {
        **{key: episode.observations[name][:-1] for name, key in keys_of(spec).items()},
        ACTION: episode.actions,
        REWARD: episode.rewards,
        DONE: is_last,
        TRUNCATED: is_last & (not episode.terminated),
        SUCCESS: is_last & episode.success,
        TIMESTAMP: (steps / fps).astype(np.float32),
        FRAME: steps,
        EPISODE: np.full_like(steps, number),
        INDEX: start + steps,
        TASK: np.full_like(steps, task),
    }


def _statistics_of(rows: NDArray[Any], feature: Feature) -> statistics.Statistics:
    return statistics.of_images(rows) if feature.is_image else statistics.of_numbers(rows)


def _write_steps(
    data: TableWriter, table: Mapping[str, NDArray[Any]], features: Mapping[str, Feature]
) -> None:
    """Rows in groups of bounded size: PNG of a whole episode need not fit into one column."""
    num_steps = len(table[FRAME])
    row_bytes = sum(table[key].nbytes for key in features) // num_steps
    at_once = max(1, _GROUP_BYTES // row_bytes)
    for first in range(0, num_steps, at_once):
        group = {key: table[key][first : first + at_once] for key in features}
        data.write([column_of(group[key], each, first) for key, each in features.items()])


class _EpisodeRows:
    """The table of `meta/episodes`: a row an episode, with its statistics.

    Args:
        folder: of its files.
        features: of the data.
    """

    def __init__(self, folder: Path, features: Mapping[str, Feature]) -> None:
        self._features = features
        self._schema = _episodes_schema(features)
        self._tables = TableWriter(folder, self._schema)
        self._rows: list[dict[str, Any]] = []
        self._numbers: list[NDArray[np.float64]] = []  # all statistics of an episode, in a row

    def add(self, row: Mapping[str, Any], found: Mapping[str, statistics.Statistics]) -> None:
        """Add the row of an episode and its statistics by feature."""
        self._rows.append(dict(row))
        each = [found[key][name].ravel() for key in self._features for name in statistics.NAMES]
        self._numbers.append(np.concatenate(each, dtype=np.float64))
        if len(self._rows) == _EPISODES_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        chunk, file = self._tables.place()
        place = {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        told = self._statistics()
        columns = []
        for each in self._schema:
            if each.name in told:
                columns.append(told[each.name])
            else:
                values = [row.get(each.name, place.get(each.name)) for row in self._rows]
                columns.append(pa.array(values, each.type))
        self._tables.write(columns)
        self._rows, self._numbers = [], []

    def _statistics(self) -> dict[str, Any]:
        numbers, found, at = np.stack(self._numbers), {}, 0
        for key, feature in self._features.items():
            for name in statistics.NAMES:
                shape = (1,) if name == "count" else feature.shape
                shape = (3, 1, 1) if len(shape) == 3 else shape
                stop = at + math.prod(shape)
                kind = _statistic_type(feature, name)
                found[f"stats/{key}/{name}"] = lists_of(numbers[:, at:stop], shape, kind)
                at = stop
        return found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with self._tables:
            if kind is None:
                self._flush()


def _data_schema(features: Mapping[str, Feature]) -> Any:
    described = {key: each.huggingface() for key, each in features.items()}
    metadata = {"huggingface": json.dumps({"info": {"features": described}})}
    return pa.schema([(key, each.arrow()) for key, each in features.items()], metadata)


def _episodes_schema(features: Mapping[str, Feature]) -> Any:
    number = pa.int64()
    fields = [(EPISODE, number), ("tasks", pa.list_(pa.string())), ("length", number)]
    fields += [(f"data/{each}_index", number) for each in ("chunk", "file")]
    fields += [(f"dataset_{each}_index", number) for each in ("from", "to")]
    for key, feature in features.items():
        if feature.dtype == "video":
            fields += [(f"videos/{key}/{each}_index", number) for each in ("chunk", "file")]
            ends = [f"videos/{key}/{each}_timestamp" for each in ("from", "to")]
            fields += [(end, pa.float64()) for end in ends]
    for key, feature in features.items():
        fields += [
            (f"stats/{key}/{name}", _statistic_type(feature, name)) for name in statistics.NAMES
        ]
    fields += [(f"meta/episodes/{each}_index", number) for each in ("chunk", "file")]
    return pa.schema(fields)


def _statistic_type(feature: Feature, name: str) -> Any:
    if name == "count":
        return pa.list_(pa.int64())
    if feature.is_image:  # of shape (3, 1, 1)
        return pa.list_(pa.list_(pa.list_(pa.float64())))
    is_float = name not in ("min", "max") or feature.dtype.startswith("float")
    return pa.list_(pa.float64() if is_float else feature.arrow())


def _info_of(
    features: Mapping[str, Feature], fps: float, num_episodes: int, num_steps: int, num_tasks: int
) -> dict[str, Any]:
    return {
        "codebase_version": VERSION,
        "robot_type": None,
        "total_episodes": num_episodes,
        "total_frames": num_steps,
        "total_tasks": num_tasks,
        "chunks_size": FILES_PER_CHUNK,
        "data_files_size_in_mb": DATA_FILE_MB,
        "video_files_size_in_mb": VIDEO_FILE_MB,
        "fps": fps,
        "splits": {"train": f"0:{num_episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if any(each.info for each in features.values()) else None,
        "features": {key: each.json() for key, each in features.items()},
    }


def _video_info(feature: Feature, fps: float) -> dict[str, Any]:
    return {
        "video.height": feature.shape[0],
        "video.width": feature.shape[1],
        "video.codec": CODEC,
        "video.pix_fmt": pixels_of(*feature.shape[:2]),
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False), encoding="utf-8")
