"""LeRobot v3.0 datasets, read without LeRobot: any of them with vectors and RGB images or videos.

Bytes of images are decoded only once their header shows the size that `info.json` says; paths in
the data lead nowhere, as none is followed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.exchange.images import decode
from parrot_data.exchange.lerobot.description import (
    Column,
    Description,
    Span,
    described,
    spans_of,
    tasks_of,
)
from parrot_data.exchange.lerobot.layout import (
    DATA_FOLDER,
    DONE,
    EPISODE,
    EPISODES_FOLDER,
    FRAME,
    INFO,
    REWARD,
    TASK,
    TASKS,
    TRUNCATED,
    VIDEO_FOLDER,
    need_pyarrow,
)
from parrot_data.exchange.lerobot.tables import Rows, num_rows, numbers_of, parquet_files, reading
from parrot_data.exchange.lerobot.video import VideoReader
from parrot_data.exchange.recording import (
    Recording,
    Trajectory,
    check_size,
    listed,
    regular_file,
    shown,
)

try:
    import pyarrow as pa
except ModuleNotFoundError:  # it comes with the extra `exchange`
    pa = None

_BYTE = np.dtype(np.uint8)


def files_of(source: Path) -> list[Path]:
    """The files that decide what is imported."""
    if not source.is_dir():
        raise UserError(
            f"{source} is no folder: name the folder of a dataset of LeRobot's, which holds {INFO}."
        )
    return [
        regular_file(source / INFO),
        regular_file(source / TASKS),
        *parquet_files(source, EPISODES_FOLDER),
        *parquet_files(source, DATA_FOLDER),
        *map(regular_file, sorted((source / VIDEO_FOLDER).glob("*/*/*.mp4"))),
    ]


@contextmanager
def open_recording(source: Path, key: str) -> Iterator[Recording]:
    """Open a dataset of LeRobot's.

    Args:
        source: its folder.
        key: of the success rule, "" for none: a feature of one number, such as next.success.

    Raises:
        UserError: pyarrow is not installed; it is no such dataset, of another version, or damaged.
    """
    need_pyarrow()
    files_of(source)
    description = described(source)
    data = parquet_files(source, DATA_FOLDER)
    videos = [each.key for each in description.observations.values() if each.is_video]
    spans = spans_of(source, num_rows(data), videos)
    tasks = tasks_of(source)
    with ExitStack() as stack:
        readers = {each: VideoReader(description.fps) for each in videos}
        for reader in readers.values():
            stack.callback(reader.close)
        yield Recording(
            path=source,
            task=next(iter(tasks.values())) if len(tasks) == 1 else "",
            num_episodes=len(spans),
            trajectories=_trajectories(data, description, spans, tasks, key, readers),
            control_rate_hz=description.fps,
            notes=_notes(description, key),
        )


@dataclass(frozen=True)
class _Steps:
    """Rows of one episode, by key."""

    images: dict[str, NDArray[np.uint8]]
    numbers: dict[str, NDArray[Any]]


def _trajectories(
    data: Sequence[Path],
    description: Description,
    spans: Sequence[Span],
    tasks: Mapping[int, str],
    key: str,
    readers: Mapping[str, VideoReader],
) -> Iterator[Trajectory]:
    seen = description.observations
    flags = {each for each in (REWARD, DONE, TRUNCATED, key) if each in description.flags}
    columns = [*(each for each in seen.values() if not each.is_video), description.action]
    columns += [description.flags[each] for each in sorted(flags)]
    columns += [Column(each, ()) for each in (EPISODE, FRAME, TASK)]
    rows = Rows(data, list(dict.fromkeys(each.key for each in columns)))
    for span in spans:
        steps = _steps_of(rows, columns, span)
        numbers = steps.numbers
        everything: dict[str, NDArray[Any]] = {**numbers, **steps.images}
        for each in seen.values():
            if each.is_video:
                everything[each.key] = _film_of(readers[each.key], each, span)
        yield Trajectory(
            name=str(span.index),
            observations={name: everything[each.key] for name, each in seen.items()},
            next_observations=None,
            actions=numbers[description.action.key],
            rewards=numbers.get(REWARD),
            terminated=_is_terminated(numbers),
            flag=numbers[key] if key in flags else None,
            task=_task_of(numbers[TASK], tasks, data[0], span),
        )


def _film_of(reader: VideoReader, column: Column, span: Span) -> NDArray[np.uint8]:
    path, start_s = span.videos[column.key]
    where, shape = f"{path}: episode {span.index}", (span.length, *column.shape)
    check_size(where, _BYTE, shape)
    images = np.empty(shape, np.uint8)
    reader.read(path, start_s, images, where)
    return images


def _steps_of(rows: Rows, columns: Sequence[Column], span: Span) -> _Steps:
    images = {}
    for each in columns:
        if each.is_image:
            shape = (span.length, *each.shape)
            check_size(f"episode {span.index}: {shown(each.key)}", _BYTE, shape)
            images[each.key] = np.empty(shape, np.uint8)
    parts: dict[str, list[NDArray[Any]]] = {e.key: [] for e in columns if not e.is_image}
    at = 0
    for path, batch in rows.take(span.length):
        where = f"{path}: episode {span.index}"
        with reading(path):
            for each in columns:
                column, named = batch.column(each.key), f"{where}: {shown(each.key)}"
                if each.is_image:
                    _decode(column, images[each.key][at : at + len(column)], named)
                    continue
                # A vector of one is a plain number to LeRobot.
                shape = () if each.shape == (1,) else each.shape
                numbers = numbers_of(column, shape, named)
                parts[each.key].append(numbers.reshape(len(numbers), *each.shape))
        _check_place(parts[EPISODE][-1], parts[FRAME][-1], span, at, where)
        at += batch.num_rows
    return _Steps(images, {key: np.concatenate(each) for key, each in parts.items()})


def _check_place(
    episodes: NDArray[Any], frames: NDArray[Any], span: Span, at: int, where: str
) -> None:
    expected = np.arange(at, at + len(frames))
    if not (episodes == span.index).all() or not np.array_equal(frames, expected):
        raise UserError(
            f"{where}: the rows from its step {at} on are of other episodes or steps than "
            f"{EPISODES_FOLDER} says: download the whole dataset."
        )


def _decode(column: Any, out: NDArray[np.uint8], where: str) -> None:
    """Decode a column of encoded images into `out`, (rows, height, width, 3)."""
    kind = column.type
    if not pa.types.is_struct(kind) or kind.get_field_index("bytes") < 0:
        raise UserError(f"{where} is {shown(kind)}, no images as LeRobot stores them: mend it.")
    for step, value in enumerate(column.field("bytes")):
        data = value.as_py()
        if not isinstance(data, bytes):
            raise UserError(
                f"{where} holds no bytes of an image, and no path is followed: mend it."
            )
        decode(data, out[step], where, INFO)


def _is_terminated(numbers: Mapping[str, NDArray[Any]]) -> bool:
    """Whether the environment ended it: done alone may mark no more than its last row."""
    if DONE not in numbers or TRUNCATED not in numbers:
        return False
    return bool(numbers[DONE][-1]) and not bool(numbers[TRUNCATED][-1])


def _task_of(numbers: NDArray[Any], tasks: Mapping[int, str], path: Path, span: Span) -> str:
    task = tasks.get(int(numbers[0]))
    if task is None:
        raise UserError(
            f"{path}: episode {span.index} has the task {shown(numbers[0])}, which {TASKS} does "
            "not name: restore that file."
        )
    return task


def _notes(description: Description, key: str) -> list[str]:
    notes = []
    if any(each.is_video for each in description.observations.values()):
        notes.append("images were stored as videos: they are what the encoder left of them")
    left_out = [each for each in description.left_out if each != key]
    if left_out:
        notes.append(f"of each step, {listed(left_out)} are not kept")
    if DONE in description.flags and TRUNCATED not in description.flags:
        notes.append(
            f"without {TRUNCATED}, {DONE} marks ends of recordings too, so no episode is terminated"
        )
    return notes
