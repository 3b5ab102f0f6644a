"""Generate raw episodes: scripted policies in simulation, as many processes as wanted.

Every episode is a function of (params, seed, index) alone, and every file holds a fixed range of
indices: the same bytes come out of any number of workers, interrupted or not, and on any x86-64
processor (see `arithmetic` for what that leaves out).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol

from parrot_data.arithmetic import plain_arithmetic
from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import Block, blocks_of, complete, gather
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.entries import entry_of, line_of
from parrot_data.stores.manifest import EpisodesManifest, save_manifest
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.sources import code_of
from parrot_data.workers import Start, Work, share_out
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import Collector
from parrot_data.worlds.tabletop.scripts.params import GenerateParams

_log = logging.getLogger(__name__)
OUTPUT = dataset_output("generate", "episodes", scratch=("episodes-*.json", "episodes-*.jsonl"))


__all__ = ["GenerateParams", "generate"]


class EpisodeCollector(Protocol):
    """Makes the episode of an index, whatever was collected before."""

    def collect(self, index: int) -> Episode:
        """The episode of that index."""
        ...

    def close(self) -> None:
        """Release what it simulates in."""
        ...


def generate(
    params: GenerateParams,
    environment: EnvironmentParams,
    out: Path,
    *,
    workers: int,
    progress: Progress = silent,
    make_collector: Callable[[], EpisodeCollector] | None = None,
) -> dict[str, object]:
    """Simulate `num_episodes` episodes into tars and a manifest under `out`.

    An interrupted run leaves its finished tars in `<out>.partial`; the next one goes on from there.

    Args:
        params: what to simulate.
        environment: where.
        out: folder of the result, replaced at the end.
        workers: processes to simulate in, apart from this one; the result does not depend on it.
        progress: told of every episode.
        make_collector: picklable; replaces the scripted policies, for tests. One worker is then
            this process.

    Returns:
        num_episodes, num_successes and success_rate.

    Raises:
        UserError: `workers` is below 1, a worker was killed, or `open_work` refuses `out`.
    """
    if workers < 1:
        raise UserError(f"--workers must be at least 1, not {workers}.")
    plain = {"generate": params.model_dump(), "environment": environment.model_dump()}
    simulates = make_collector is None  # then in processes alone: this one has started already
    make_collector = make_collector or partial(_scripted_collector, params, environment)
    with open_work(out, OUTPUT, {"params": plain, "code": code_of(__name__)}) as work:
        start = partial(_block_writer, make_collector, work.folder, params.zstd_level)
        blocks = blocks_of(params.num_episodes, params.episodes_per_file)
        _write_blocks(start, work.folder, blocks, workers, progress, simulates=simulates)
        files, entries = gather(work.folder, blocks)
        manifest = EpisodesManifest(
            params=plain,
            seed=params.seed,
            num_episodes=params.num_episodes,
            files=files,
            episodes=entries,
        )
        save_manifest(work.folder, manifest)
        num_successes = sum(entry.success for entry in manifest.entries(work.folder))
        work.publish()
    return {
        "num_episodes": params.num_episodes,
        "num_successes": num_successes,
        "success_rate": num_successes / params.num_episodes,
    }


def _write_blocks(
    start: Start[Block],
    work: Path,
    blocks: Sequence[Block],
    workers: int,
    progress: Progress,
    *,
    simulates: bool,
) -> None:
    """Simulate the blocks that an earlier call has not left complete."""
    total = blocks[-1].stop
    missing = [block for block in blocks if not block.is_complete(work)]
    done = total - sum(block.stop - block.start for block in missing)
    if done:
        _log.info("goes on from %s of %s episodes", f"{done:,}", f"{total:,}")

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, total, "episodes")

    progress(done, total, "episodes")
    with plain_arithmetic():
        share_out(start, missing, workers, tick, apart=simulates)


def _scripted_collector(params: GenerateParams, environment: EnvironmentParams) -> EpisodeCollector:
    return Collector(
        environment, params.families, params.num_objects, params.action_noise, params.seed
    )


@contextmanager
def _block_writer(
    make_collector: Callable[[], EpisodeCollector], work: Path, zstd_level: int
) -> Iterator[Work[Block]]:
    """What writes blocks, all of them in one world."""
    with closing(make_collector()) as collector:
        yield partial(_write_block, collector, work, zstd_level)


def _write_block(
    collector: EpisodeCollector,
    work: Path,
    zstd_level: int,
    block: Block,
    tick: Callable[[], None],
) -> None:
    with block.entries(work).open("w", encoding="utf-8") as lines:

        def collected() -> Iterator[Episode]:
            for index in range(block.start, block.stop):
                episode = collector.collect(index)
                yield episode
                lines.write(line_of(entry_of(episode)))
                tick()

        tar_shards.write_shard(block.tar(work), collected(), zstd_level=zstd_level)
    complete(block, work)
