"""Shard the kept episodes into a training set: a Zarr store and WebDataset tars, the same data.

Episodes stream through: no more than about one Zarr file an array is in memory.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from parrot_data.cards.dataset_card import write_card
from parrot_data.episodes.episode import Episode
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards, zarr_writer
from parrot_data.stores.dataset_output import dataset_output
from parrot_data.stores.entries import ENTRIES, write_entries
from parrot_data.stores.manifest import ShardsManifest, files_of, save_manifest
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.records import file_entry
from parrot_data.stores.selection import Selection, select
from parrot_data.stores.shard_params import ShardParams
from parrot_data.stores.sources import code_of
from parrot_data.stores.statistics import DatasetStatistics, RunningStatistics

__all__ = ["ShardParams", "shard"]

ZARR = "episodes.zarr"
TAR_FOLDER = "tar"
OUTPUT = dataset_output("shard", "shards")


def shard(
    params: ShardParams, episodes: Path, kept: Path, out: Path, *, progress: Progress = silent
) -> dict[str, object]:
    """Write the kept episodes to both stores, with their statistics, lineage and card.

    Args:
        params: the layout.
        episodes: folder that `generate` wrote.
        kept: folder that `filter` wrote for those episodes.
        out: folder of the result, replaced at the end.
        progress: called after each episode, once a store.

    Returns:
        num_episodes, num_transitions, num_files and num_bytes.

    Raises:
        UserError: an input is missing, damaged, or `kept` was made from other episodes.
    """
    selection = select(episodes, kept)
    source, sources = selection.manifest, selection.sources
    made_from = {"params": params.model_dump(), **sources.model_dump()}
    fingerprint = {**made_from, "code": code_of(__name__)}
    with open_work(out, OUTPUT, fingerprint, [episodes, kept]) as work:
        folder = work.folder
        # It takes minutes at most: simpler to begin anew than to resume.
        for leftover in (folder / ZARR, folder / TAR_FOLDER):
            shutil.rmtree(leftover, ignore_errors=True)
        _write_tars(selection, folder / TAR_FOLDER, params.episodes_per_tar, progress)
        statistics = _write_zarr(selection, folder / ZARR, params, progress)
        write_entries(folder / ENTRIES, selection.entries())
        stores = (folder / ZARR, folder / TAR_FOLDER)
        files = sorted(p for store in stores for p in store.rglob("*") if p.is_file())
        manifest = ShardsManifest(
            params={
                **source.params, "filter": selection.decision.params, "shard": params.model_dump(),
            },
            seed=source.seed,
            spec=source.spec,
            num_episodes=len(selection),
            num_transitions=sum(entry.num_steps for entry in selection.entries()),
            statistics=statistics,
            files=[file_entry(folder, path) for path in files],
            tar_shards=[p.relative_to(folder).as_posix() for p in files if p.suffix == ".tar"],
            zarr=ZARR,
            episodes=file_entry(folder, folder / ENTRIES),
            sources=sources,
        )  # fmt: skip
        save_manifest(folder, manifest)
        write_card(folder)
        work.publish()
    return {
        "num_episodes": manifest.num_episodes,
        "num_transitions": manifest.num_transitions,
        "num_files": len(files_of(manifest)),
        "num_bytes": sum(file.size for file in files_of(manifest)),
    }


def _write_tars(
    selection: Selection, folder: Path, episodes_per_tar: int, progress: Progress
) -> None:
    """Copy the kept samples as they are: they are compressed already."""

    def samples() -> Iterator[tar_shards.Sample]:
        for done, (_, sample) in enumerate(selection.samples(), start=1):
            yield sample
            progress(done, 2 * len(selection), "tar shards")

    folder.mkdir()
    stream = samples()
    for number in range(-(-len(selection) // episodes_per_tar)):
        path = folder / f"shard-{number:05d}.tar"
        tar_shards.write_samples(path, islice(stream, episodes_per_tar))


def _write_zarr(
    selection: Selection, path: Path, params: ShardParams, progress: Progress
) -> DatasetStatistics:
    """Decode, check, count and store the kept episodes; gives their statistics."""
    spec = selection.manifest.spec
    running = RunningStatistics(spec)

    def episodes() -> Iterator[Episode]:
        for done, episode in enumerate(selection.episodes(), start=1):
            running.add(episode)
            yield episode
            progress(len(selection) + done, 2 * len(selection), "Zarr store")

    layout = zarr_writer.ZarrLayout(
        params.steps_per_chunk, params.chunks_per_shard, params.zstd_level
    )
    zarr_writer.write(path, spec, episodes(), layout)
    return running.result()
