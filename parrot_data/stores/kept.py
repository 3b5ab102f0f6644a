"""The decision of `filter`: which episodes to learn from, and why not from the others."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from parrot_data.stores.publish import read_json
from parrot_data.stores.records import Record, parse_record

KEPT = "kept.json"


class DroppedEpisode(Record):
    """An episode left out: `reason` is "failed", "family_not_kept" or "over_limit"."""

    index: int
    task: str
    failure: str
    reason: str


class KeptEpisodes(Record):
    """The decision of `filter`: indices kept, in order, and the episodes dropped."""

    params: dict[str, Any]
    kept: list[int]
    dropped: list[DroppedEpisode]
    episodes_manifest_sha256: str


def load_kept(folder: Path) -> KeptEpisodes:
    """Read the decision of `filter` from its folder.

    Raises:
        UserError: it is missing or invalid.
    """
    return parse_record(KeptEpisodes, read_json(folder / KEPT), folder / KEPT)
