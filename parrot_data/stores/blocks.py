"""Blocks: a fixed range of raw episodes a tar, the unit of resuming and of sharing out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.manifest import BlockEntry, EpisodesManifest
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.records import file_entry


class BlockRecord(BaseModel):
    """What the manifest says of a block; written after its tar, it marks the block complete."""

    file: BlockEntry
    episodes: list[EpisodeEntry]


@dataclass(frozen=True)
class Block:
    """A tar of episodes with indices start to stop (exclusive)."""

    number: int
    start: int
    stop: int

    def tar(self, work: Path) -> Path:
        """Its episodes."""
        return work / f"episodes-{self.number:05d}.tar"

    def record(self, work: Path) -> Path:
        """What will be said of them."""
        return work / f"episodes-{self.number:05d}.json"

    def is_complete(self, work: Path) -> bool:
        """Whether an earlier run left the block as it should be."""
        if not (self.tar(work).exists() and self.record(work).exists()):
            return False
        record = BlockRecord.model_validate(read_json(self.record(work)))
        return record.file.size == self.tar(work).stat().st_size


def blocks_of(num_episodes: int, episodes_per_file: int) -> list[Block]:
    """Every block of a dataset; the last one may be smaller."""
    starts = range(0, num_episodes, episodes_per_file)
    return [
        Block(number, start, min(start + episodes_per_file, num_episodes))
        for number, start in enumerate(starts)
    ]


def complete(block: Block, work: Path, entries: list[EpisodeEntry]) -> None:
    """Leave the record of a block whose tar is written."""
    file = file_entry(work, block.tar(work))
    entry = BlockEntry(**file.model_dump(), num_episodes=len(entries))
    write_json(block.record(work), BlockRecord(file=entry, episodes=entries).model_dump())


def gather(
    work: Path, blocks: Sequence[Block], params: dict[str, dict[str, Any]], seed: int
) -> EpisodesManifest:
    """The manifest of finished blocks, whose records it takes away."""
    records = [BlockRecord.model_validate(read_json(block.record(work))) for block in blocks]
    for block in blocks:
        block.record(work).unlink()
    return EpisodesManifest(
        params=params,
        seed=seed,
        num_episodes=sum(len(record.episodes) for record in records),
        files=[record.file for record in records],
        episodes=[episode for record in records for episode in record.episodes],
    )
