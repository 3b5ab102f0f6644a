"""Entries: what a manifest says of each episode."""

from __future__ import annotations

from parrot_data.episodes.episode import Episode
from parrot_data.stores.records import Record


class EpisodeEntry(Record):
    """What can be said of an episode without opening it."""

    index: int
    task: str
    success: bool
    failure: str
    content_hash: str


def entry_of(episode: Episode) -> EpisodeEntry:
    """The manifest's line for an episode."""
    return EpisodeEntry(
        index=episode.index,
        task=episode.task,
        success=episode.success,
        failure=episode.failure,
        content_hash=episode.content_hash(),
    )
