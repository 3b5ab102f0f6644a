"""Generate raw episodes: scripted policies in simulation, as many processes as wanted.

Every episode is a function of (params, seed, index) alone, and every file holds a fixed range of
indices: the same bytes come out of any number of workers, interrupted or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Protocol, get_args

from pydantic import BaseModel, ConfigDict, Field, model_validator

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import Block, blocks_of, complete, gather
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.entries import entry_of, line_of
from parrot_data.stores.manifest import EpisodesManifest, save_manifest
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import sha256_sources
from parrot_data.workers import Start, Work, share_out
from parrot_data.worlds.tabletop.env import MAX_OBJECTS
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import Collector
from parrot_data.worlds.tabletop.tasks import TASKS, Family

OUTPUT = dataset_output("generate", "episodes", scratch=("episodes-*.json", "episodes-*.jsonl"))


class GenerateParams(BaseModel):
    """Section `generate` of params.yaml.

    Attributes:
        seed: with an episode's index it determines the episode.
        num_episodes: how many to simulate, successes and failures.
        episodes_per_file: indices a tar; the unit of resuming and of sharing out.
        families: relative frequency of each family of scripted tasks. A fine-tuning task may be
            named as well: demonstrations of that very task, with objects of the test split.
        action_noise: standard deviation of the Gaussian noise on every action dimension.
        num_objects: least and greatest number of objects in a scene; a drawer is one of them. A
            fine-tuning task has its own.
        zstd_level: compression of the tars; the shards' tars inherit it.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seed: int = Field(ge=0)
    num_episodes: int = Field(ge=1)
    episodes_per_file: int = Field(ge=1)
    families: dict[str, float] = Field(min_length=1)
    action_noise: float = Field(ge=0.0)
    num_objects: list[int] = Field(min_length=2, max_length=2)
    zstd_level: int = Field(ge=1, le=22)

    @model_validator(mode="after")
    def _check(self) -> GenerateParams:
        unknown = set(self.families) - set(get_args(Family)) - TASKS.keys()
        if unknown:
            known = ", ".join((*get_args(Family), *TASKS))
            raise ValueError(f"families: {min(unknown)!r} is none of {known}")
        if min(self.families.values()) < 0.0 or sum(self.families.values()) <= 0.0:
            raise ValueError("families: no weight may be negative, and one must be positive")
        if not 1 <= self.num_objects[0] <= self.num_objects[1] <= MAX_OBJECTS:
            raise ValueError(
                f"num_objects: [least, greatest] with 1 <= least <= greatest <= {MAX_OBJECTS}"
            )
        return self


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
        workers: processes to simulate in; the result does not depend on it.
        progress: told of every episode.
        make_collector: picklable; replaces the scripted policies, for tests.

    Returns:
        num_episodes, num_successes and success_rate.

    Raises:
        UserError: `workers` is below 1, a worker was killed, or `open_work` refuses `out`.
    """
    if workers < 1:
        raise UserError(f"--workers must be at least 1, not {workers}.")
    plain = {"generate": params.model_dump(), "environment": environment.model_dump()}
    code = sha256_sources(Path(__file__).parent)
    make_collector = make_collector or partial(_scripted_collector, params, environment)
    with open_work(out, OUTPUT, {"params": plain, "code": code}) as work:
        start = partial(_block_writer, make_collector, work.folder, params.zstd_level)
        blocks = blocks_of(params.num_episodes, params.episodes_per_file)
        _write_blocks(start, work.folder, blocks, workers, progress)
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
    start: Start[Block], work: Path, blocks: Sequence[Block], workers: int, progress: Progress
) -> None:
    """Simulate the blocks that an earlier call has not left complete."""
    total = blocks[-1].stop
    missing = [block for block in blocks if not block.is_complete(work)]
    done = total - sum(block.stop - block.start for block in missing)

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, total, "episodes")

    progress(done, total, "episodes")
    share_out(start, missing, workers, tick)


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
