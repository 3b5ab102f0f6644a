"""Entries: a line for each episode of a dataset, in a file beside the manifest.

There are as many as episodes, so they are written and read one by one and never all held.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from parrot_data.episodes.episode import MAX_STEPS, METADATA_BYTES, Episode
from parrot_data.errors import UserError
from parrot_data.stores.records import FileEntry, check_file, path_in, unlike

ENTRIES = "episodes.jsonl"
_MAX_LINE_BYTES = METADATA_BYTES + 512  # beside the metadata: a hash, and how many steps
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class EpisodeEntry:
    """What can be said of an episode without opening it; `Episode` tells what the fields mean."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    index: Annotated[int, Field(ge=0, lt=10**12)]  # as many digits as a key in a tar may have
    task: str
    success: bool
    failure: str
    terminated: bool
    num_steps: Annotated[int, Field(ge=1, le=MAX_STEPS)]
    facts: dict[str, Any]
    content_hash: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


_ENTRY = TypeAdapter(EpisodeEntry)


def entry_of(episode: Episode) -> EpisodeEntry:
    """The line for an episode, with facts as JSON gives them back.

    Raises:
        UserError: the facts are no JSON, or hold what no reader of the line would take.
    """
    try:
        said = json.loads(episode.metadata_text())
        hashed = {"num_steps": episode.num_steps, "content_hash": episode.content_hash()}
        return _ENTRY.validate_json(json.dumps({**said, **hashed}))
    except ValueError as error:
        reason = str(error).splitlines()[0]
        raise UserError(
            f"episode {episode.index} cannot be described ({reason}): its facts must be plain, "
            "short JSON."
        ) from error


def line_of(entry: EpisodeEntry) -> str:
    """The one spelling of an entry: JSON with sorted keys, a newline at the end."""
    return json.dumps(asdict(entry), sort_keys=True) + "\n"


def write_entries(path: Path, entries: Iterable[EpisodeEntry]) -> None:
    """Write a line each, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as lines:
        lines.writelines(line_of(entry) for entry in entries)
    temporary.replace(path)


def count_entries(folder: Path, file: FileEntry) -> int:
    """How many entries a file of a folder holds, by its lines."""
    with path_in(folder, file.name).open("rb") as lines:
        return sum(block.count(b"\n") for block in iter(lambda: lines.read(_READ_BYTES), b""))


def read_entries(folder: Path, file: FileEntry) -> Iterator[EpisodeEntry]:
    """Stream the entries of a file, once it is certain that not one byte of it was altered.

    Args:
        folder: the dataset's.
        file: what its manifest says of the file.

    Raises:
        UserError: the file is missing, truncated or altered (at once), or vouched for and yet not
            as a stage writes it (when the line is reached).
    """
    check_file(folder, file)
    return _parsed(folder / file.name)


def _parsed(path: Path) -> Iterator[EpisodeEntry]:
    with path.open("rb") as lines:
        number = 0
        while line := lines.readline(_MAX_LINE_BYTES + 1):
            number += 1
            if len(line) > _MAX_LINE_BYTES:
                raise UserError(
                    f"{path} is not as the stage writes it (line {number} has more than "
                    f"{_MAX_LINE_BYTES} bytes): run the stage again."
                )
            try:
                yield _ENTRY.validate_json(line)
            except ValidationError as error:
                raise unlike(path, error, f"line {number}") from error
