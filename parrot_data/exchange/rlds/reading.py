"""RLDS datasets, read without TensorFlow: each checksum and each length checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import MAX_STEPS
from parrot_data.errors import UserError
from parrot_data.exchange.images import decode, size_of
from parrot_data.exchange.recording import (
    MAX_BYTES,
    Recording,
    Trajectory,
    check_size,
    listed,
    regular_file,
    shown,
    single_name,
)
from parrot_data.exchange.rlds.description import Description, describe
from parrot_data.exchange.rlds.example import Example
from parrot_data.exchange.rlds.layout import (
    ACTION,
    DISCOUNT,
    FEATURES,
    INFO,
    IS_FIRST,
    IS_LAST,
    IS_TERMINAL,
    METADATA,
    OBSERVATION,
    REWARD,
    STEPS,
    TASK,
    Leaf,
)
from parrot_data.exchange.rlds.tfrecord import records

# What an episode calls its task, the first that is there: Parrot's own, and Open X-Embodiment's.
_TASKS = (
    TASK,
    f"{STEPS}language_instruction",
    f"{OBSERVATION}/natural_language_instruction",
)
_NUMBERS = {"bool", "bfloat16", "float16", "float32", "float64"}
_NUMBERS |= {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64)}


def files_of(source: Path) -> list[Path]:
    """The files that decide what is imported."""
    described = describe(source)
    named = [described.folder / INFO, described.folder / FEATURES]
    return [*named, *(regular_file(shard.path) for shard in described.shards)]


@contextmanager
def open_recording(source: Path, key: str) -> Iterator[Recording]:
    """Open a dataset; its splits are read one after another.

    Args:
        source: its folder NAME/VERSION, or one above it that holds no other.
        key: of the success rule, "" for none: a flag a step, or one of the episode.

    Raises:
        UserError: it is no such folder, or damaged.
    """
    described = describe(source)
    yield Recording(
        path=described.folder,
        task="",
        num_episodes=sum(shard.length for shard in described.shards),
        trajectories=_trajectories(described, key),
        notes=_notes(described, key),
    )


def _notes(described: Description, key: str) -> list[str]:
    splits, leaves = described.splits, described.leaves
    notes = [f"the splits {listed(splits)} are read one after another"] if len(splits) > 1 else []
    known = {ACTION, REWARD, DISCOUNT, IS_FIRST, IS_LAST, IS_TERMINAL}
    known |= {*described.observations(), *_flag_keys(key)}
    if task := _task_key(leaves):
        known.add(task)
    left_out = [name for name in leaves if name not in known and _flag_keys("success")[1] != name]
    if left_out:
        notes.append(f"of each episode, {listed(left_out)} are not kept")
    if IS_TERMINAL not in leaves:
        notes.append(f"without {IS_TERMINAL}, no episode is terminated")
    return notes


def _flag_keys(key: str) -> tuple[str, ...]:
    return (f"{STEPS}{key}", f"{METADATA}{key}", key)


def _task_key(leaves: Mapping[str, Leaf]) -> str:
    return next((key for key in _TASKS if key in leaves and leaves[key].kind == "text"), "")


def _trajectories(described: Description, key: str) -> Iterator[Trajectory]:
    for shard in described.shards:
        count = 0
        for record in records(shard.path):
            name = f"{shard.split}/{shard.start + count}"
            count += 1
            if count > shard.length:
                break
            yield _trajectory(record, described, name, key)
        if count != shard.length:
            raise UserError(
                f"{shard.path} has {'more' if count > shard.length else count} records, in {INFO} "
                f"{shard.length}: download the whole dataset again."
            )


def _trajectory(record: bytes, described: Description, name: str, key: str) -> Trajectory:
    where = f"{described.folder}: episode {name}"
    try:
        episode = _Episode(Example(record), described.leaves, where)
        actions = episode.rows(ACTION)
        # Of the last step only the observation means anything.
        last = len(actions) - 1
        observations = {}
        for leaf, called in described.observations().items():
            rows = episode.rows(leaf)
            observations[called or single_name(rows)] = rows
        rewards = episode.rows(REWARD) if REWARD in described.leaves else None
        terminal = episode.rows(IS_TERMINAL) if IS_TERMINAL in described.leaves else np.zeros(1)
        for each in (*observations.values(), *([] if rewards is None else [rewards])):
            if len(each) != len(actions):
                raise ValueError(f"{len(each)} rows beside {len(actions)} actions")
        return Trajectory(
            name=name,
            observations=observations,
            next_observations=None,
            actions=actions[:last],
            rewards=None if rewards is None else rewards[:last],
            terminated=bool(terminal[-1:].any()),
            flag=episode.flag(key),
            task=episode.text(_task_key(described.leaves)),
        )
    except ValueError as error:
        raise UserError(
            f"{where} is damaged, or not what {FEATURES} says ({shown(error)}): download it again."
        ) from error


class _Episode:
    """A record, by what the dataset says of its features.

    Args:
        example: the record.
        leaves: of it.
        where: it is, to begin errors with.
    """

    def __init__(self, example: Example, leaves: Mapping[str, Leaf], where: str) -> None:
        self._example, self._leaves, self._where = example, leaves, where

    def rows(self, key: str) -> NDArray[Any]:
        """A row a step.

        Raises:
            ValueError: it is not there, or not what was said of it.
            UserError: it is too large, or an image is damaged.
        """
        leaf = self._leaves[key]
        if leaf.kind == "image":
            return self._images(key, leaf)
        if leaf.kind != "number" or leaf.shape is None or leaf.dtype not in _NUMBERS:
            raise ValueError(f"{key!a} is {leaf.dtype!a}, no plain numbers")
        size = math.prod(leaf.shape)
        if "float" in leaf.dtype:  # all of which are float32 in a record
            values: NDArray[Any] = self._example.floats(key)
        else:
            values = self._example.integers(key, at_most=self._at_most(key, leaf, size))
            values = values.astype(leaf.dtype)
        if len(values) % size:
            raise ValueError(f"{key!a} has {len(values)} numbers, of which {size} are a row")
        shape = (len(values) // size, *leaf.shape)
        check_size(f"{self._where}: {shown(key)}", values.dtype, shape)
        return values.reshape(shape)

    def _at_most(self, key: str, leaf: Leaf, size: int) -> int:
        """How many numbers may be decoded; each is 8 bytes until it has its own dtype."""
        check_size(f"{self._where}: {shown(key)}", np.dtype(leaf.dtype), (1, size))
        return min((MAX_STEPS + 1) * size, MAX_BYTES // np.dtype(np.int64).itemsize)

    def _images(self, key: str, leaf: Leaf) -> NDArray[np.uint8]:
        where = f"{self._where}: {shown(key)}"
        encoded = self._example.blobs(key, MAX_STEPS + 1)
        if not encoded:
            raise ValueError(f"{key!a} holds no image")
        height, width = (leaf.shape or ())[:2] or size_of(bytes(encoded[0]), where)
        shape = (len(encoded), height, width, 3)
        check_size(where, np.dtype(np.uint8), shape)
        out = np.empty(shape, dtype=np.uint8)
        for data, image in zip(encoded, out, strict=True):
            decode(bytes(data), image, where, f"{FEATURES} or the first of them")
        return out

    def flag(self, key: str) -> NDArray[Any] | None:
        """What a key of the success rule holds, None where it holds no numbers."""
        for each in _flag_keys(key) if key else ():
            leaf = self._leaves.get(each)
            if leaf is not None and leaf.kind == "number" and leaf.shape is not None:
                return self.rows(each)
        return None

    def text(self, key: str) -> str:
        """The first text of that name, "" where there is none."""
        found = self._example.blobs(key, MAX_STEPS + 1) if key else []
        return bytes(found[0]).decode("utf-8", "replace") if found else ""
