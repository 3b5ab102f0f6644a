"""LeRobot v3.0 datasets, written without LeRobot: images as PNG, lossless, in the data itself."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

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
    PARQUET_PATH,
    REWARD,
    STATISTICS,
    SUCCESS,
    TASK,
    TASKS,
    TIMESTAMP,
    TRUNCATED,
    VERSION,
    VIDEO_FILE_MB,
    Feature,
    features_of,
    keys_of,
    need_pyarrow,
)

try:
    import pyarrow as pa
    from pyarrow import parquet
except ModuleNotFoundError:  # it comes with the extra `exchange`
    pa = parquet = None

_log = logging.getLogger(__name__)
FPS_WHERE_UNKNOWN = 10  # LeRobot knows no dataset without one
_PNG_LEVEL = 6  # LeRobot's own
_GROUP_BYTES = 1 << 26  # of rows that are encoded and written at once
_EPISODES_AT_ONCE = 64
_INDEX = "__index_level_0__"  # pandas' name of the column that is its index


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
    features = features_of(spec)
    task_index = {name: number for number, name in enumerate(options.tasks)}
    total, start = statistics.Total(), 0
    with (
        _Tables(folder / DATA_FOLDER, _data_schema(features)) as data,
        _EpisodeRows(folder / EPISODES_FOLDER, features) as rows,
    ):
        for number, episode in enumerate(episodes):
            place = data.place()
            table = _columns_of(episode, spec, number, start, task_index[episode.task], fps)
            _write_steps(data, table, features)
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
                },
                found,
            )
            start = stop
    _write_tasks(folder / TASKS, options.tasks)
    _write_json(folder / STATISTICS, total.json())
    _write_json(folder / INFO, _info_of(features, fps, num_episodes, start, len(options.tasks)))


def _fps_of(control_rate_hz: float | None) -> float:
    """Frames a second; a whole number where it is one, which is what LeRobot itself writes."""
    if control_rate_hz is None:
        _log.warning(
            "the control rate is not known, and LeRobot knows no dataset without one: fps %d is "
            "written",
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
    return statistics.of_images(rows) if feature.dtype == "image" else statistics.of_numbers(rows)


def _write_steps(
    data: _Tables, table: Mapping[str, NDArray[Any]], features: Mapping[str, Feature]
) -> None:
    """Rows in groups of bounded size: PNG of a whole episode need not fit into one column."""
    num_steps = len(table[FRAME])
    row_bytes = sum(rows.nbytes for rows in table.values()) // num_steps
    at_once = max(1, _GROUP_BYTES // row_bytes)
    for first in range(0, num_steps, at_once):
        group = {key: table[key][first : first + at_once] for key in features}
        data.write([_column_of(group[key], each, first) for key, each in features.items()])


def _column_of(rows: NDArray[Any], feature: Feature, first: int) -> Any:
    """Rows as an Arrow array; `first` is the step of the first of them."""
    kind = feature.arrow()
    if feature.dtype == "image":
        paths = [f"frame-{first + step:06d}.png" for step in range(len(rows))]
        columns = [pa.array(map(_png_of, rows), pa.binary()), pa.array(paths, pa.string())]
        return pa.StructArray.from_arrays(columns, names=["bytes", "path"])
    flat = pa.array(np.ascontiguousarray(rows).ravel())
    return flat if feature.shape == (1,) else pa.FixedSizeListArray.from_arrays(flat, type=kind)


def _png_of(image: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG", compress_level=_PNG_LEVEL)
    return buffer.getvalue()


class _Tables:
    """Parquet files of one schema, a new one where the last has grown large.

    Args:
        folder: of the files, which is made.
        schema: of Arrow.
    """

    def __init__(self, folder: Path, schema: Any) -> None:
        self._folder, self._schema = folder, schema
        self._number = -1
        self._file: Any = None
        self._writer: Any = None

    def place(self) -> tuple[int, int]:
        """Chunk and file of what is written next, up to the next call of this."""
        if self._file is None or self._file.tell() >= DATA_FILE_MB << 20:
            self._close()
            self._number += 1
            path = self._folder / PARQUET_PATH.format(**self._place())
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("wb")
            self._writer = parquet.ParquetWriter(
                self._file, self._schema, compression="snappy", use_dictionary=False
            )
        return tuple(self._place().values())  # type: ignore[return-value]

    def write(self, columns: list[Any]) -> None:
        """Write rows, as one group."""
        self._writer.write_table(pa.Table.from_arrays(columns, schema=self._schema))

    def _place(self) -> dict[str, int]:
        chunk, file = divmod(self._number, FILES_PER_CHUNK)
        return {"chunk_index": chunk, "file_index": file}

    def _close(self) -> None:
        if self._file is not None:
            self._writer.close()
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._close()


class _EpisodeRows:
    """The table of `meta/episodes`: a row an episode, with its statistics.

    Args:
        folder: of its files.
        features: of the data.
    """

    def __init__(self, folder: Path, features: Mapping[str, Feature]) -> None:
        self._schema = _episodes_schema(features)
        self._tables = _Tables(folder, self._schema)
        self._rows: list[dict[str, Any]] = []

    def add(self, row: Mapping[str, Any], found: Mapping[str, statistics.Statistics]) -> None:
        """Add the row of an episode and its statistics by feature."""
        flat = {
            f"stats/{key}/{name}": each[name].tolist()
            for key, each in found.items()
            for name in statistics.NAMES
        }
        self._rows.append({**row, **flat})
        if len(self._rows) == _EPISODES_AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        chunk, file = self._tables.place()
        place = {"meta/episodes/chunk_index": chunk, "meta/episodes/file_index": file}
        rows = [{**row, **place} for row in self._rows]
        columns = [pa.array([row[each.name] for row in rows], each.type) for each in self._schema]
        self._tables.write(columns)
        self._rows = []

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
        fields += [
            (f"stats/{key}/{name}", _statistic_type(feature, name)) for name in statistics.NAMES
        ]
    fields += [(f"meta/episodes/{each}_index", number) for each in ("chunk", "file")]
    return pa.schema(fields)


def _statistic_type(feature: Feature, name: str) -> Any:
    if name == "count":
        return pa.list_(pa.int64())
    if feature.dtype == "image":  # of shape (3, 1, 1)
        return pa.list_(pa.list_(pa.list_(pa.float64())))
    is_float = name not in ("min", "max") or feature.dtype.startswith("float")
    return pa.list_(pa.float64() if is_float else feature.arrow())


def _write_tasks(path: Path, tasks: tuple[str, ...]) -> None:
    """The tasks, as pandas writes a table whose index they are."""
    text = {"pandas_type": "unicode", "numpy_type": "object", "metadata": None}
    whole = {"pandas_type": "int64", "numpy_type": "int64", "metadata": None}
    described = {
        "index_columns": [_INDEX],
        "column_indexes": [],
        "columns": [
            {"name": TASK, "field_name": TASK, **whole},
            {"name": None, "field_name": _INDEX, **text},
        ],
        "creator": {"library": "pyarrow", "version": pa.__version__},
        "pandas_version": "2.0.0",
    }
    schema = pa.schema(
        [(TASK, pa.int64()), (_INDEX, pa.string())], {"pandas": json.dumps(described)}
    )
    columns = [pa.array(range(len(tasks)), pa.int64()), pa.array(tasks, pa.string())]
    parquet.write_table(pa.Table.from_arrays(columns, schema=schema), path)


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
        "video_path": None,
        "features": {key: each.json() for key, each in features.items()},
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=4, ensure_ascii=False), encoding="utf-8")
