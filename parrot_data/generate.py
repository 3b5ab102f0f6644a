"""Generate raw episodes: a world's scripted policies, in as many processes as wanted.

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

from parrot_data.arithmetic import plain_arithmetic
from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.generate_params import GenerateParams
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import Block, blocks_of, complete, gather
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.entries import entry_of, line_of
from parrot_data.stores.manifest import EpisodesManifest, save_manifest
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.sources import code_of
from parrot_data.workers import Work, share_out
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams

_log = logging.getLogger(__name__)
OUTPUT = dataset_output("generate", "episodes", scratch=("episodes-*.json", "episodes-*.jsonl"))


__all__ = ["GenerateParams", "generate"]


def generate(
    params: GenerateParams,
    environment: EnvironmentParams,
    out: Path,
    *,
    workers: int,
    progress: Progress = silent,
) -> dict[str, object]:
    """Simulate `num_episodes` episodes into tars and a manifest under `out`.

    An interrupted run leaves its finished tars in `<out>.partial`; the next one goes on from there.

    Args:
        params: what to simulate.
        environment: in which world; it must have a demonstrator.
        out: folder of the result, replaced at the end.
        workers: processes to simulate in, apart from this one; the result does not depend on it.
        progress: called after every episode.

    Returns:
        num_episodes, num_successes and success_rate.

    Raises:
        UserError: `workers` is below 1, the world cannot be made, demonstrates nothing or not one
            of the tasks, its episodes are not as its spec says, a worker was killed, or `open_work`
            refuses `out`.
    """
    if workers < 1:
        raise UserError(f"--workers must be at least 1, not {workers}.")
    world = make_world(environment)
    Demonstrations(world, params.tasks, params.seed).close()  # said now, not by a worker
    plain = {"generate": params.model_dump(), "environment": environment.model_dump()}
    code = {**code_of(__name__), "world": code_of_world(environment, world)}
    with open_work(out, OUTPUT, {"params": plain, "code": code}) as work:
        blocks = blocks_of(params.num_episodes, params.episodes_per_file)
        _write_blocks(params, environment, work.folder, blocks, workers, progress)
        files, entries = gather(work.folder, blocks)
        manifest = EpisodesManifest(
            params=plain,
            spec=world.spec,
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
    params: GenerateParams,
    environment: EnvironmentParams,
    work: Path,
    blocks: Sequence[Block],
    workers: int,
    progress: Progress,
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
