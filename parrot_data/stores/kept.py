"""The decision of `filter`: which episodes to learn from, and why not from the others.

There is a line or more of it for each episode, so it is written and read as it streams, in the one
spelling that `json_text` has; of all episodes no more is in memory than a byte each.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from parrot_data.errors import UserError
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.publish import json_text, replace_synced

KEPT = "kept.json"
_DROPPED, _SHA256, _KEPT, _PARAMS = "dropped", "episodes_manifest_sha256", "kept", "params"
KEYS = (_DROPPED, _SHA256, _KEPT, _PARAMS)
_MAX_LINE_BYTES = 1 << 17  # more than the names in an episode's metadata can have
_MAX_PARAMS_BYTES = 1 << 22
_OPEN, _EMPTY, _CLOSE = " [\n", " [],\n", "  ],\n"


@dataclass(frozen=True)
class KeptEpisodes:
    """The decision of `filter`.

    Attributes:
        params: of the stage.
        is_kept: of each episode, by its place in the dataset, 1 where it is kept, else 0. Of what
            `generate` made a place is the index; where datasets were merged, several episodes may
            have one index.
        episodes_manifest_sha256: of the dataset.
    """

    params: dict[str, Any]
    is_kept: bytes
    episodes_manifest_sha256: str


def write_kept(
    path: Path,
    decided: Iterable[tuple[EpisodeEntry, str]],
    params: dict[str, Any],
    episodes_manifest_sha256: str,
) -> None:
    """Write a decision, whole or not at all.

    It lists the places of the episodes kept, in order, and those dropped, each with its reason.

    Args:
        path: of the file.
        decided: each episode in turn with the reason to drop it, "failed", "task_not_kept" or
            "over_limit", or "" where it is kept.
        params: of the stage.
        episodes_manifest_sha256: of the dataset.
    """
    temporary, is_kept = path.with_name(f"{path.name}.tmp"), bytearray()

    def dropped() -> Iterator[str]:
        for entry, reason in decided:
            is_kept.append(not reason)
            if reason:
                yield _dropped_text(entry, reason)

    with temporary.open("w", encoding="utf-8") as file:
        file.write("{\n")
        file.writelines(_list_text(_DROPPED, dropped()))
        file.write(f'  "{_SHA256}": {json.dumps(episodes_manifest_sha256)},\n')
        places = (f"    {place}" for place, kept in enumerate(is_kept) if kept)
        file.writelines(_list_text(_KEPT, places))
        file.write(json_text({_PARAMS: params}).removeprefix("{\n"))
    replace_synced(temporary, path)


def load_kept(folder: Path) -> KeptEpisodes:
    """Read the decision of `filter` from its folder; what it drops reads `check_decision`.

    Raises:
        UserError: it is missing or invalid, or lists an episode twice or out of order.
    """
    path = folder / KEPT
    try:
        with path.open("rb") as file:
            return _parsed(file)
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: run the stage that writes it, or `dvc checkout`."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is not as the stage writes it ({error}): run `parrot filter` again."
        ) from None


def is_decision(path: Path) -> bool:
    """Whether a file is JSON with the keys of a decision, in the spelling that has one a line."""
    wanted = {f'  "{key}":'.encode() for key in KEYS}
    try:
        with path.open("rb") as file:
            for line in _lines(file):
                # Whatever lies deeper is indented by more
                wanted.discard(line[: line.find(b":") + 1])
    except (OSError, ValueError):
        return False
    return not wanted


def check_decision(decision: KeptEpisodes, entries: Iterable[EpisodeEntry], path: Path) -> None:
    """Hold a decision against all episodes it was made of: each is kept, or dropped as it says.

    Args:
        decision: what `load_kept` read.
        entries: of all the episodes.
        path: of the file, whose list of the dropped is read.

    Raises:
        UserError: it names no episodes, unknown ones, or not all; it keeps one that failed, or says
            of one what its entry does not.
    """
    tasks, places = decision.params["tasks"], iter(decision.is_kept)
    with path.open("rb") as file:
        dropped = _dropped_in(file)
        for entry in entries:
            is_of_task = not tasks or entry.task in tasks
            if next(places, None):
                is_right = entry.success and is_of_task
            else:
                reason = "over_limit" if is_of_task else "task_not_kept"
                wanted = _dropped_text(entry, reason if entry.success else "failed")
                is_right = next(dropped, None) == wanted.encode()
            if not is_right:
                raise UserError(
                    f"{path} does not decide as `parrot filter` would of episode {entry.index}: "
                    "run `parrot filter` again."
                )
    if not any(decision.is_kept) or next(places, None) is not None:
        raise UserError(
            f"{path}: its keys kept and dropped must list all of the episodes, in order and each "
            "once: run `parrot filter` again."
        )


def _list_text(key: str, items: Iterator[str]) -> Iterator[str]:
    """A list of the file, piece by piece, as `json_text` spells it."""
    first = next(items, None)
    if first is None:
        yield f'  "{key}":{_EMPTY}'
        return
    yield f'  "{key}":{_OPEN}{first}'
    for item in items:
        yield f",\n{item}"
    yield f"\n{_CLOSE}"


def _dropped_text(entry: EpisodeEntry, reason: str) -> str:
    failure, task = json.dumps(entry.failure), json.dumps(entry.task)
    return (
        f'    {{\n      "failure": {failure},\n      "index": {entry.index},\n'
        f'      "reason": "{reason}",\n      "task": {task}\n    }}'
    )


def _parsed(file: BinaryIO) -> KeptEpisodes:
    num_dropped = sum(1 for _ in _dropped_in(file))
    sha256 = json.loads(_after(_SHA256, next(_lines(file), b"")).rstrip(b",\n"))
    is_kept = bytearray()
    for item in _items(file, _KEPT):
        # What is between two places is dropped: there can be no more of that than is listed
        num_between = int(item) - len(is_kept)
        num_dropped -= num_between
        if num_between < 0 or num_dropped < 0:
            raise ValueError(f"its key {_KEPT} lists {item.decode()} in the wrong place")
        is_kept += bytes(num_between) + b"\x01"
    rest = file.read(_MAX_PARAMS_BYTES)
    said = json.loads(b"{" + rest)
    params = said.get(_PARAMS)
    if json_text(said).removeprefix("{\n").encode() != rest or said.keys() != {_PARAMS}:
        raise ValueError(f"its key {_PARAMS} is not the last")
    if not isinstance(params, dict) or not isinstance(params.get("tasks"), list):
        raise ValueError(f"it does not say {_PARAMS}.tasks")
    return KeptEpisodes(params, bytes(is_kept) + bytes(num_dropped), sha256)


def _dropped_in(file: BinaryIO) -> Iterator[bytes]:
    """The list of the dropped, each as `_dropped_text` has it, from the start of the file."""
    if next(_lines(file), b"") != b"{\n":
        raise ValueError("it is no JSON of a line a value")
    item = b""
    for line in _items(file, _DROPPED):
        item += line
        if line == b"    }":
            yield item
            item = b""
        elif len(item) > _MAX_LINE_BYTES:
            raise ValueError(f"an item of its key {_DROPPED} is too long")
        else:
            item += b"\n"


def _items(file: BinaryIO, key: str) -> Iterator[bytes]:
    """The lines of a list, without what parts its items; the list is read to its end."""
    head = _after(key, next(_lines(file), b""))
    if head == _EMPTY.encode():
        return
    if head != _OPEN.encode():
        raise ValueError(f"its key {key} is no list of a line a value")
    for line in _lines(file):
        if line == _CLOSE.encode():
            return
        yield line.removesuffix(b"\n") if line.startswith(b"      ") else line.rstrip(b",\n")
    raise ValueError(f"its key {key} does not end")


def _after(key: str, line: bytes) -> bytes:
    start = f'  "{key}":'.encode()
    if not line.startswith(start):
        raise ValueError(f"it lacks the key {key} where it is to be")
    return line.removeprefix(start)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    while line := file.readline(_MAX_LINE_BYTES):
        if not line.endswith(b"\n"):
            raise ValueError("a line of it is too long, or cut off")
        yield line
