"""RLDS datasets, written without TensorFlow: an episode a record, images as PNG in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.exchange.format import ExportOptions
from parrot_data.exchange.images import png_of
from parrot_data.exchange.rlds.example import Value, encode
from parrot_data.exchange.rlds.layout import (
    ACTION,
    DISCOUNT,
    FEATURES,
    INFO,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    OBSERVATION,
    REWARD,
    SPLIT,
    SUCCESS,
    TASK,
    TEMPLATE,
    VERSION,
    dataset_name,
    features_of,
    shard_name,
)
from parrot_data.exchange.rlds.tfrecord import MAX_RECORD_BYTES, framed

SHARD_BYTES = 1 << 27  # a file that reached it takes no further episode


def write(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,
    num_episodes: int,  # noqa: ARG001 each format has the same arguments
    folder: Path,
    options: ExportOptions,
) -> None:
    """Write a folder NAME/VERSION; see `parrot_data.exchange.format.Write`.

    Raises:
        UserError: an episode is larger than a record may be.
    """
    name = dataset_name(options.title)
    place = folder / name / VERSION
    place.mkdir(parents=True)
    with _Shards(place, name) as shards:
        for episode in episodes:
            shards.write(_record_of(episode, spec))
    _write_json(place / FEATURES, features_of(spec))
    _write_json(place / INFO, _info_of(name, shards))


def _record_of(episode: Episode, spec: EpisodeSpec) -> bytes:
    num_rows = episode.num_steps + 1
    is_last = np.arange(num_rows) == episode.num_steps
    discounts = np.ones(num_rows, dtype=np.float32)
    # As dm_env has it, which RLDS follows: 0 where no reward follows, as the environment ended it.
    discounts[-2:] = [not episode.terminated, 0]
    features: dict[str, Value] = {
        f"{OBSERVATION}/{name}": list(map(png_of, rows)) if name in spec.images else rows.ravel()
        for name, rows in episode.observations.items()
    }
    features |= {
        ACTION: _with_last(episode.actions),
        REWARD: _with_last(episode.rewards),
        DISCOUNT: discounts,
        IS_FIRST: np.arange(num_rows) == 0,
        IS_LAST: is_last,
        IS_TERMINAL: is_last & episode.terminated,
        TASK: [episode.task.encode()],
        SUCCESS: np.array([episode.success]),
    }
    record = encode(features)
    if len(record) > MAX_RECORD_BYTES:
        raise UserError(
            f"episode {episode.index} would have {len(record)} bytes, where TensorFlow reads "
            f"{MAX_RECORD_BYTES}: export to another format, or without that episode."
        )
    return record


def _with_last(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Its numbers, and zeros for the step after the last action."""
    return np.concatenate([rows, np.zeros_like(rows[:1])]).ravel()


class _Shards:
    """Files of records; how many there are, which each name says, is known at the end.

    Args:
        folder: of the files.
        dataset: its name.

    Attributes:
        lengths: records in each.
        num_bytes: of all records, without what frames them.
    """

    def __init__(self, folder: Path, dataset: str) -> None:
        self._folder, self._dataset = folder, dataset
        self._file: BinaryIO | None = None
        self._size = 0
        self.lengths: list[int] = []
        self.num_bytes = 0

    def write(self, record: bytes) -> None:
        """Add a record."""
        if self._file is None or self._size >= SHARD_BYTES:
            self._close()
            self._file = self._unnamed(len(self.lengths)).open("wb")
            self._size = 0
            self.lengths.append(0)
        for piece in framed(record):
            self._file.write(piece)
            self._size += len(piece)
        self.lengths[-1] += 1
        self.num_bytes += len(record)

    def _unnamed(self, index: int) -> Path:
        return self._folder / f"shard-{index:05d}"

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None
    ) -> None:
        self._close()
        if kind is None:
            count = len(self.lengths)
            for index in range(count):
                name = shard_name(self._dataset, SPLIT, index, count)
                self._unnamed(index).replace(self._folder / name)


def _info_of(name: str, shards: _Shards) -> dict[str, Any]:
    split = {
        "filepathTemplate": TEMPLATE,
        "name": SPLIT,
        "numBytes": str(shards.num_bytes),
        "shardLengths": list(map(str, shards.lengths)),
    }
    return {"fileFormat": "tfrecord", "name": name, "splits": [split], "version": VERSION}


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, indent=4, sort_keys=True), encoding="utf-8")
