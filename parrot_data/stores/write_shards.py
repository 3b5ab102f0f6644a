"""Writing a training set: a Zarr store and WebDataset tars, the same episodes in both.

Episodes stream through: no more than about one Zarr file an array is in memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from parrot_data.episodes.episode import Episode
from parrot_data.progress import Progress
from parrot_data.stores import tar_shards, zarr_writer
from parrot_data.stores.entries import ENTRIES, write_entries
from parrot_data.stores.manifest import ShardsManifest, Sources, save_manifest
from parrot_data.stores.origin import Origin
from parrot_data.stores.picked import Picked
from parrot_data.stores.records import file_entry
from parrot_data.stores.shard_params import ShardParams
from parrot_data.stores.statistics import DatasetStatistics, RunningStatistics

ZARR = "episodes.zarr"
TAR_FOLDER = "tar"


def write_shards(
    folder: Path,
    picked: Picked,
    layout: ShardParams,
    origin: Origin,
    sources: Sources | None,
    progress: Progress,
) -> ShardsManifest:
    """Write episodes to both stores, with their statistics and a manifest.

    Args:
        folder: where; what an interrupted call left there is replaced.
        picked: at least one.
        layout: of the stores.
        origin: whence they came.
        sources: the files that they were sharded from, where these are the same for all.
        progress: called after each episode, once a store.

    Raises:
        UserError: one is not what its own manifest says.
    """
    # It takes minutes at most: simpler to begin anew than to resume.
    for leftover in (folder / ZARR, folder / TAR_FOLDER):
        shutil.rmtree(leftover, ignore_errors=True)
    _write_tars(picked, folder / TAR_FOLDER, layout.episodes_per_tar, progress)
    statistics = _write_zarr(picked, folder / ZARR, layout, progress)
    write_entries(folder / ENTRIES, picked.entries())
    stores = (folder / ZARR, folder / TAR_FOLDER)
    files = sorted(p for store in stores for p in store.rglob("*") if p.is_file())
    manifest = ShardsManifest(
        params=dict(origin.params),
        seed=origin.seed,
        spec=picked.spec,
        num_episodes=len(picked),
        num_transitions=sum(entry.num_steps for entry in picked.entries()),
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


def _write_tars(picked: Picked, folder: Path, episodes_per_tar: int, progress: Progress) -> None:
    """Copy the samples as they are: they are compressed already."""
    total = 2 * len(picked)

    def samples() -> Iterator[tar_shards.Sample]:
        for done, (_, sample) in enumerate(picked.samples(), start=1):
            yield sample
            progress(done, total, "tar shards")

    folder.mkdir()
    tar_shards.write_tars(
        lambda number: folder / f"shard-{number:05d}.tar", samples(), episodes_per_tar
    )


def _write_zarr(
    picked: Picked, path: Path, params: ShardParams, progress: Progress
) -> DatasetStatistics:
    """Decode, check, count and store the episodes; gives their statistics."""
    running, num_episodes = RunningStatistics(picked.spec), len(picked)

    def episodes() -> Iterator[Episode]:
        for done, episode in enumerate(picked.episodes(), start=1):
            running.add(episode)
            yield episode
            progress(num_episodes + done, 2 * num_episodes, "Zarr store")

    layout = zarr_writer.ZarrLayout(
        params.steps_per_chunk, params.chunks_per_shard, params.zstd_level
    )
    zarr_writer.write(path, picked.spec, episodes(), layout)
    return running.result()
