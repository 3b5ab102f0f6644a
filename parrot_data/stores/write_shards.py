"""Writing a training set: a Zarr store and WebDataset tars, the same episodes in both.

Episodes stream through: no more than about one Zarr file an array is in memory, of each process.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from parrot_data.episodes.episode import Episode
from parrot_data.progress import Progress
from parrot_data.stores import tar_shards, zarr_writer
from parrot_data.stores.entries import ENTRIES, write_entries
from parrot_data.stores.manifest import ShardsManifest, Sources, save_manifest
from parrot_data.stores.origin import Origin
from parrot_data.stores.parallel_shards import plan_blocks, write_in_parallel
from parrot_data.stores.picked import Picked
from parrot_data.stores.records import file_entry
from parrot_data.stores.shard_params import ShardParams
from parrot_data.stores.statistics import DatasetStatistics, RunningStatistics

ZARR = "episodes.zarr"
TAR_FOLDER = "tar"
# At least: to start a process takes as long as writing so many
EPISODES_A_WORKER = 500


def write_shards(
    folder: Path,
    picked: Picked,
    layout: ShardParams,
    origin: Origin,
    sources: Sources | None,
    progress: Progress,
    num_workers: int = 1,
) -> ShardsManifest:
    """Write episodes to both stores, with their statistics and a manifest.

    Args:
        folder: where; what an interrupted call left there is replaced.
        picked: at least one.
        layout: of the stores.
        origin: whence they came.
        sources: the files that they were sharded from, where these are the same for all.
        progress: called after each episode, once a store; of several processes, now and then.
        num_workers: bound on the number of processes; the bytes do not depend on it.

    Raises:
        UserError: one is not what its own manifest says.
    """
    # It takes minutes at most: simpler to begin anew than to resume.
    for leftover in (folder / ZARR, folder / TAR_FOLDER):
        shutil.rmtree(leftover, ignore_errors=True)
    done, total = 0, 2 * len(picked)

    def advance(num_episodes: int = 1) -> None:
        nonlocal done
        done += num_episodes
        progress(done, total, "episodes, once a store")

    write_tars = partial(
        _write_tars, Picked(picked.parts), folder / TAR_FOLDER, layout.episodes_per_tar
    )
    cut = zarr_writer.ZarrLayout(layout.steps_per_chunk, layout.chunks_per_shard, layout.zstd_level)
    num_transitions, longest = _steps_of(picked)
    plan = plan_blocks(picked.spec, cut, num_transitions + len(picked), longest + 1)
    num_workers = min(num_workers, plan.num_blocks, max(1, len(picked) // EPISODES_A_WORKER))
    if num_workers == 1:
        write_tars(advance)
        statistics = _write_zarr(picked, folder / ZARR, cut, advance)
    else:
        statistics = write_in_parallel(
            folder / ZARR, write_tars, picked, cut, plan, num_workers, advance
        )
    write_entries(folder / ENTRIES, picked.entries())
    stores = (folder / ZARR, folder / TAR_FOLDER)
    files = sorted(p for store in stores for p in store.rglob("*") if p.is_file())
    manifest = ShardsManifest(
        params=dict(origin.params),
        seed=origin.seed,
        spec=picked.spec,
        num_episodes=len(picked),
        num_transitions=num_transitions,
        statistics=statistics,
        files=[file_entry(folder, path) for path in files],
        tar_shards=[p.relative_to(folder).as_posix() for p in files if p.suffix == ".tar"],
        zarr=ZARR,
        episodes=file_entry(folder, folder / ENTRIES),
        sources=sources,
        parents=list(origin.parents),
        ancestors=list(origin.ancestors),
    )
    save_manifest(folder, manifest)
    return manifest


def _steps_of(picked: Picked) -> tuple[int, int]:
    """Steps of all episodes, and of the longest."""
    total = longest = 0
    for entry in picked.entries():
        total, longest = total + entry.num_steps, max(longest, entry.num_steps)
    return total, longest


def _write_tars(
    picked: Picked, folder: Path, episodes_per_tar: int, tick: Callable[[], None]
) -> None:
    """Copy the samples as they are: they are compressed already."""

    def samples() -> Iterator[tar_shards.Sample]:
        for _, sample in picked.samples():
            yield sample
            tick()

    folder.mkdir()
    tar_shards.write_tars(
        lambda number: folder / f"shard-{number:05d}.tar", samples(), episodes_per_tar
    )


def _write_zarr(
    picked: Picked, path: Path, layout: zarr_writer.ZarrLayout, tick: Callable[[], None]
) -> DatasetStatistics:
    """Decode, check, count and store the episodes; gives their statistics."""
    running = RunningStatistics(picked.spec)

    def episodes() -> Iterator[Episode]:
        for episode in picked.episodes():
            running.add(episode)
            yield episode
            tick()

    zarr_writer.write(path, picked.spec, episodes(), layout)
    return running.result()
