"""The decision of `filter`: which episodes to learn from, and why not from the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.publish import read_json
from parrot_data.stores.records import Count, Record, parse_record

KEPT = "kept.json"


class DroppedEpisode(Record):
    """An episode left out: `reason` is "failed", "task_not_kept" or "over_limit"."""

    index: Count
    task: str
    failure: str
    reason: str


class KeptEpisodes(Record):
    """The decision of `filter`: places of the episodes kept, in order, and the episodes dropped.

    A place counts from 0 through the dataset. Of what `generate` made it is the index; where
    datasets were merged, several episodes may have one index.
    """

    params: dict[str, Any]
    kept: list[Count]
    dropped: list[DroppedEpisode]
    episodes_manifest_sha256: str


def check_decision(decision: KeptEpisodes, entries: Iterable[EpisodeEntry], path: Path) -> None:
    """Hold a decision against all episodes it was made of: each is kept, or dropped as it says.

    Raises:
        UserError: it names no episodes, unknown ones, one twice or out of order, or not all; it
            keeps one that failed, or says of one what its entry does not.
    """
    kept, dropped = iter(decision.kept), iter(decision.dropped)
    next_kept, tasks = next(kept, None), decision.params["tasks"]
    for place, entry in enumerate(entries):
        if next_kept == place:
            is_right = entry.success and (not tasks or entry.task in tasks)
            next_kept = next(kept, None)
        else:
            next_dropped = next(dropped, None)
            is_right = next_dropped is not None and _is_of(next_dropped, entry, tasks)
        if not is_right:
            raise UserError(
                f"{path} does not decide as `parrot filter` would of episode {entry.index}: run "
                "`parrot filter` again."
            )
    if not decision.kept or next_kept is not None or next(dropped, None) is not None:
        raise UserError(
            f"{path}: its keys kept and dropped must list all of the episodes, in order and each "
            "once: run `parrot filter` again."
        )


def _is_of(dropped: DroppedEpisode, entry: EpisodeEntry, tasks: Any) -> bool:
    reason = "over_limit" if not tasks or entry.task in tasks else "task_not_kept"
    said = (dropped.index, dropped.task, dropped.failure, dropped.reason)
    return said == (entry.index, entry.task, entry.failure, reason if entry.success else "failed")


def load_kept(folder: Path) -> KeptEpisodes:
    """Read the decision of `filter` from its folder.

    Raises:
        UserError: it is missing or invalid.
    """
    decision = parse_record(KeptEpisodes, read_json(folder / KEPT), folder / KEPT)
    if not isinstance(decision.params.get("tasks"), list):
        raise UserError(f"{folder / KEPT} does not say params.tasks: run `parrot filter` again.")
    return decision
