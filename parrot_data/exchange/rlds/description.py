"""What the two JSON files of an RLDS dataset say, checked before a record is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.exchange.recording import json_object, listed, regular_file, shown
from parrot_data.exchange.rlds.layout import (
    ACTION,
    FEATURES,
    INFO,
    OBSERVATION,
    TEMPLATE,
    Leaf,
    leaves_of,
    shard_name,
)

_MAX_JSON_BYTES = 1 << 24
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,199}")
_MAX_EPISODES = 1 << 27


@dataclass(frozen=True)
class Shard:
    """A file of records.

    Attributes:
        path: of it.
        split: it belongs to.
        start: how many records of the split come before it.
        length: how many it has.
    """

    path: Path
    split: str
    start: int
    length: int


@dataclass(frozen=True)
class Description:
    """A dataset.

    Attributes:
        folder: of its files, NAME/VERSION.
        shards: in the order in which they are read.
        leaves: of a record, by name.
    """

    folder: Path
    shards: list[Shard]
    leaves: dict[str, Leaf]

    @property
    def splits(self) -> list[str]:
        """Names of those that have episodes."""
        return list(dict.fromkeys(shard.split for shard in self.shards if shard.length))

    def observations(self) -> dict[str, str]:
        """Of every observation that is read its name, by that of its leaf."""
        return {
            key: key.removeprefix(OBSERVATION).removeprefix("/")
            for key, leaf in self.leaves.items()
            if key == OBSERVATION or key.startswith(f"{OBSERVATION}/")
            if _is_observation(leaf)
        }


def _is_observation(leaf: Leaf) -> bool:
    if leaf.kind == "image":  # depth and masks are no RGB
        is_rgb = leaf.shape is None or leaf.shape[2:] in ((), (3,))
        return is_rgb and leaf.dtype == "uint8"
    return leaf.kind == "number" and leaf.shape is not None


def folder_of(source: Path) -> Path:
    """The folder NAME/VERSION of a source: itself, or the only one in it.

    Raises:
        UserError: there is none, or several.
    """
    if (source / INFO).is_file():
        return source
    found = sorted(path.parent for path in (*source.glob(f"*/{INFO}"), *source.glob(f"*/*/{INFO}")))
    if len(found) == 1:
        return found[0]
    if found:
        several = listed([str(path.relative_to(source)) for path in found])
        raise UserError(f"{source} holds several datasets, {several}: name the folder of one.")
    raise UserError(f"{source} holds no {INFO}: name the folder of a dataset, NAME/VERSION.")


def describe(source: Path) -> Description:
    """What a dataset says it holds.

    Raises:
        UserError: a file of it is missing or damaged, or it is none of episodes.
    """
    folder = folder_of(source)
    shards = _shards_of(folder, _json(folder / INFO))
    try:
        leaves = leaves_of(_json(folder / FEATURES))
    except ValueError as error:
        raise UserError(
            f"{folder / FEATURES} describes no features ({shown(error)}): convert the dataset with "
            "a newer tensorflow_datasets, or download it again."
        ) from error
    found = Description(folder, shards, leaves)
    action = leaves.get(ACTION)
    if action is None or action.kind != "number" or action.shape is None:
        several = [key for key in leaves if key.startswith(f"{ACTION}/")]
        said = f"the actions {listed(several)}, where one vector is needed" if several else "none"
        raise UserError(
            f"{folder / FEATURES} has no {ACTION} of numbers ({said}): rewrite the dataset."
        )
    return found


def _json(path: Path) -> dict[str, Any]:
    if regular_file(path).stat().st_size > _MAX_JSON_BYTES:
        raise UserError(f"{path} is too large: name the folder of a dataset.")
    return json_object(path.read_bytes().decode("utf-8", "replace"))


def _shards_of(folder: Path, info: Mapping[str, Any]) -> list[Shard]:
    where, name, splits = folder / INFO, info.get("name"), info.get("splits")
    if not _is_name(name) or not isinstance(splits, list):
        raise UserError(f"{where} describes no dataset: download it again.")
    form = info.get("fileFormat", "tfrecord")
    if form != "tfrecord":
        raise UserError(f"{where} says files of {shown(form)}: convert them to tfrecord.")
    found = [
        shard
        for split in splits
        for shard in _shards_of_split(folder, str(name), split if isinstance(split, dict) else {})
    ]
    if not 1 <= sum(shard.length for shard in found) <= _MAX_EPISODES:
        raise UserError(f"{where} says no episodes, or too many: name another folder.")
    return found


def _is_name(name: object) -> bool:
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


def _lengths(split: Mapping[str, Any], where: Path) -> list[int]:
    said = split.get("shardLengths", [])
    if not isinstance(said, list) or not all(re.fullmatch(r"[0-9]{1,9}", str(n)) for n in said):
        raise UserError(f"{where} has shardLengths that are no numbers: download it again.")
    return [int(each) for each in said]


def _shards_of_split(folder: Path, name: str, said: Mapping[str, Any]) -> list[Shard]:
    split, template = said.get("name"), said.get("filepathTemplate") or TEMPLATE
    lengths = _lengths(said, folder / INFO)
    shards, start = [], 0
    for index, length in enumerate(lengths):
        path = shard_name(name, str(split), index, len(lengths), str(template))
        # Nothing beside the folder is ever read: neither .. nor a name from / on is such a path.
        if not _is_name(split) or not all(map(_is_name, path.split("/"))):
            raise UserError(
                f"{folder / INFO} names a file {shown(path)}, no path within the folder: rename it."
            )
        shards.append(Shard(folder / path, str(split), start, length))
        start += length
    return shards
