"""Entries: a line for each episode of a dataset, in a file beside the manifest.

There are as many as episodes, so they are written and read one by one and never all held.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import ConfigDict, TypeAdapter, ValidationError

from parrot_data.episodes.episode import Episode
from parrot_data.stores.records import FileEntry, check_file, unlike

ENTRIES = "episodes.jsonl"


@dataclass(frozen=True, slots=True)
class EpisodeEntry:
    """What can be said of an episode without opening it; `Episode` tells what the fields mean."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")

    index: int
    task: str
    objects: tuple[str, ...]
    container: str
    success: bool
    failure: str
    content_hash: str


_ENTRY = TypeAdapter(EpisodeEntry)


def entry_of(episode: Episode) -> EpisodeEntry:
    """The line for an episode."""
    return EpisodeEntry(
        index=episode.index,
        task=episode.task,
        objects=episode.objects,
        container=episode.container,
        success=episode.success,
        failure=episode.failure,
        content_hash=episode.content_hash(),
    )


def line_of(entry: EpisodeEntry) -> str:
    """The one spelling of an entry: JSON with sorted keys, a newline at the end."""
    return json.dumps(asdict(entry), sort_keys=True) + "\n"


def write_entries(path: Path, entries: Iterable[EpisodeEntry]) -> None:
    """Write a line each, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("w", encoding="utf-8") as lines:
        lines.writelines(line_of(entry) for entry in entries)
    temporary.replace(path)


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
        for number, line in enumerate(lines, start=1):
            try:
                yield _ENTRY.validate_json(line)
            except ValidationError as error:
                raise unlike(path, error, f"line {number}") from error
