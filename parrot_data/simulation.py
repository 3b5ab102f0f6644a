"""Blocks of scripted episodes, simulated in as many processes as wanted."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

from parrot_data.arithmetic import plain_arithmetic
from parrot_data.episodes.episode import Episode
from parrot_data.generate_params import GenerateParams
from parrot_data.progress import Progress
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import Block, complete
from parrot_data.stores.entries import entry_of, line_of
from parrot_data.workers import Work, share_out
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams

_log = logging.getLogger(__name__)


def simulate(
    params: GenerateParams,
    environment: EnvironmentParams,
    work: Path,
    blocks: Sequence[Block],
    workers: int,
    progress: Progress,
) -> None:
    """Simulate the blocks that an earlier call has not left complete.

    Args:
        params: what to simulate.
        environment: in which world.
        work: folder to write them in.
        blocks: of indices; each becomes a tar of its own.
        workers: processes to simulate in, apart from this one; the result does not depend on it.
        progress: called after every episode.

    Raises:
        UserError: as `generate`.
    """
    total = sum(block.stop - block.start for block in blocks)
    missing = [block for block in blocks if not block.is_complete(work)]
    done = total - sum(block.stop - block.start for block in missing)
    if done:
        _log.info("goes on from %s of %s episodes", f"{done:,}", f"{total:,}")

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, total, "episodes")

    progress(done, total, "episodes")
    start = partial(_block_writer, params, environment, work)
    with plain_arithmetic():  # which only processes that start from now on have, so always apart
        share_out(start, missing, workers, tick, apart=True)


@contextmanager
def _block_writer(
    params: GenerateParams, environment: EnvironmentParams, work: Path
) -> Iterator[Work[Block]]:
    """What writes blocks, all of them in one world."""
    world = make_world(environment)
    with closing(Demonstrations(world, params.tasks, params.seed)) as demonstrations:
        yield partial(_write_block, demonstrations, work, params.zstd_level)


def _write_block(
    demonstrations: Demonstrations,
    work: Path,
    zstd_level: int,
    block: Block,
    tick: Callable[[], None],
) -> None:
    with block.entries(work).open("w", encoding="utf-8") as lines:

        def collected() -> Iterator[Episode]:
            for index in range(block.start, block.stop):
                episode = demonstrations.episode(index)
                yield episode
                lines.write(line_of(entry_of(episode)))
                tick()

        tar_shards.write_shard(block.tar(work), collected(), zstd_level=zstd_level)
    complete(block, work)
