"""Blocks: a fixed range of raw episodes a tar, the unit of resuming and of sharing out."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from parrot_data.stores.entries import ENTRIES
from parrot_data.stores.manifest import BlockEntry
from parrot_data.stores.proof import DamagedError, check_digests, read_sealed, write_sealed
from parrot_data.stores.records import FileEntry, Record, file_entry, parse_record

_log = logging.getLogger(__name__)


class BlockRecord(Record):
    """A block's files; written after them, it marks the block complete."""

    file: BlockEntry
    entries: FileEntry


@dataclass(frozen=True)
class Block:
    """A tar of episodes with indices start to stop (exclusive)."""

    number: int
    start: int
    stop: int

    def tar(self, work: Path) -> Path:
        """Its episodes."""
        return work / f"episodes-{self.number:05d}.tar"

    def entries(self, work: Path) -> Path:
        """What is said of them, a line each."""
        return work / f"episodes-{self.number:05d}.jsonl"

    def record(self, work: Path) -> Path:
        """What marks the block complete."""
        return work / f"episodes-{self.number:05d}.json"

    def is_complete(self, work: Path) -> bool:
        """Whether an earlier run left the block, every byte as it was written.

        Of one that is damaged it is said, in one sentence, that it is made again.
        """
        if not self.record(work).exists():
            return False
        try:
            record = self.read_record(work)
            check_digests(work, {file.name: file.sha256 for file in (record.file, record.entries)})
        except DamagedError as error:
            _log.warning("%s %s: its episodes are made again.", self.record(work), error)
            return False
        return True

    def read_record(self, work: Path) -> BlockRecord:
        """What `complete` left.

        Raises:
            DamagedError: it is not as it was left.
        """
        path = self.record(work)
        return parse_record(BlockRecord, read_sealed(path), path)


def blocks_of(num_episodes: int, episodes_per_file: int) -> list[Block]:
    """Every block of a dataset; the last one may be smaller."""
    starts = range(0, num_episodes, episodes_per_file)
    return [
        Block(number, start, min(start + episodes_per_file, num_episodes))
        for number, start in enumerate(starts)
    ]


def complete(block: Block, work: Path) -> None:
    """Mark a block whose tar and entries are written."""
    file = file_entry(work, block.tar(work))
    record = BlockRecord(
        file=BlockEntry(**file.model_dump(), num_episodes=block.stop - block.start),
        entries=file_entry(work, block.entries(work)),
    )
    write_sealed(block.record(work), record.model_dump())


def gather(work: Path, blocks: Sequence[Block]) -> tuple[list[BlockEntry], FileEntry]:
    """The tars of complete blocks, and the one file of their entries."""
    files = [block.read_record(work).file for block in blocks]
    with (work / ENTRIES).open("wb") as whole:
        for block in blocks:
            with block.entries(work).open("rb") as part:
                shutil.copyfileobj(part, whole)
    return files, file_entry(work, work / ENTRIES)
