"""Blocks of scripted episodes, simulated in processes of this machine or by a Ray cluster."""

from __future__ import annotations

import hashlib
import logging
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from parrot_data.arithmetic import PLAIN, TUNABLES, is_plain, plain_arithmetic
from parrot_data.cluster.board import Tell
from parrot_data.cluster.connection import OnRay, connected
from parrot_data.cluster.items import hand_out
from parrot_data.cluster.same_world import TravellingWorld, travelling
from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
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

Workers = int | OnRay  # processes of this machine, or a cluster


def check_workers(workers: Workers) -> None:
    """See that there is one to work.

    Raises:
        UserError: there is none.
    """
    if isinstance(workers, int) and workers < 1:
        raise UserError(f"--workers must be at least 1, not {workers}.")


def simulate(
    params: GenerateParams,
    environment: EnvironmentParams,
    work: Path,
    blocks: Sequence[Block],
    workers: Workers,
    progress: Progress,
) -> None:
    """Simulate the blocks that an earlier call has not left complete.

    Args:
        params: what to simulate.
        environment: in which world.
        work: folder to write them in.
        blocks: of indices; each becomes a tar of its own.
        workers: processes to simulate in, apart from this one, or a cluster; the result does not
            depend on it.
        progress: called after every episode; on a cluster, after every block.

    Raises:
        UserError: as `generate`.
    """
    total = sum(block.stop - block.start for block in blocks)
    missing = [block for block in blocks if not block.is_complete(work)]
    done = total - sum(block.stop - block.start for block in missing)
    if done:
        _log.info("goes on from %s of %s episodes", f"{done:,}", f"{total:,}")

    def tick(num_episodes: int = 1, note: str = "episodes") -> None:
        nonlocal done
        done += num_episodes
        progress(done, total, note)

    progress(done, total, "episodes")
    if isinstance(workers, OnRay):
        if missing:
            _simulate_on(workers, params, environment, work, missing, tick)
        return
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


@dataclass(frozen=True)
class _Simulation:
    """What tasks of a cluster share.

    Attributes:
        params: what to simulate, as JSON.
        world: to simulate in.
    """

    params: str
    world: TravellingWorld


@dataclass(frozen=True)
class _Simulated:
    """A block, as a task returns it: the bytes of its tar and of its lines, and their SHA-256."""

    tar: bytes
    lines: bytes
    sha256: tuple[str, str]


def _simulate_on(
    ray: OnRay,
    params: GenerateParams,
    environment: EnvironmentParams,
    work: Path,
    blocks: Sequence[Block],
    tick: Callable[[int, str], None],
) -> None:
    """Simulate blocks on a cluster; only this process writes, what a local worker would."""
    made_by = Counter[str]()
    payload = _Simulation(params.model_dump_json(), travelling(environment))
    with connected(ray.address, {TUNABLES: PLAIN}) as connection:
        outcomes = hand_out(
            connection, _simulate_block, payload, blocks, ray,
            module=__name__, name_of=_name_of,
        )  # fmt: skip
        with closing(outcomes):
            for outcome in outcomes:
                if outcome.error is not None:
                    raise outcome.error
                _write_simulated(outcome.item, work, outcome.value)
                made_by[outcome.node] += 1
                by_node = (f"{number} blocks by {node}" for node, number in made_by.items())
                tick(outcome.item.stop - outcome.item.start, ", ".join(["episodes", *by_node]))


def _name_of(block: Block) -> str:
    return f"block {block.number}"


def _write_simulated(block: Block, work: Path, simulated: _Simulated) -> None:
    found = tuple(hashlib.sha256(data).hexdigest() for data in (simulated.tar, simulated.lines))
    if found != simulated.sha256:
        raise UserError(
            f"{_name_of(block)} was altered on its way from the node that simulated it: give the "
            "same command again, and look after the network between the nodes"
        )
    block.tar(work).write_bytes(simulated.tar)
    block.entries(work).write_bytes(simulated.lines)
    complete(block, work)


def _simulate_block(shared: _Simulation, block: Block, _tell: Tell) -> _Simulated:
    """In a task: simulate a block by what a local worker does."""
    if not is_plain():
        raise RuntimeError(f"this process started without {TUNABLES}={PLAIN}")
    demonstrations, zstd_level = _demonstrations(shared)
    with tempfile.TemporaryDirectory(prefix="parrot-") as temporary:
        work = Path(temporary)
        _write_block(demonstrations, work, zstd_level, block, lambda: None)
        tar, lines = block.tar(work).read_bytes(), block.entries(work).read_bytes()
    hashes = hashlib.sha256(tar).hexdigest(), hashlib.sha256(lines).hexdigest()
    return _Simulated(tar, lines, hashes)


@cache  # a world takes longer to make than a small block to simulate
def _demonstrations(shared: _Simulation) -> tuple[Demonstrations, int]:
    """What a process of a node simulates all its blocks by, and their level of compression."""
    params = GenerateParams.model_validate_json(shared.params)
    return Demonstrations(shared.world.make(), params.tasks, params.seed), params.zstd_level
