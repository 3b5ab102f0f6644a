"""Shards as training reads them: a manifest, entries and the Zarr store, tars where asked for."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.stores import tar_shards, zarr_writer
from parrot_data.stores.entries import ENTRIES, entry_of, write_entries
from parrot_data.stores.manifest import ShardsManifest, Sources, save_manifest
from parrot_data.stores.records import file_entry
from parrot_data.stores.statistics import RunningStatistics
from tests.specs import some_actions, some_observations

STORE = "episodes.zarr"


def write_shards(
    folder: Path,
    episodes: Sequence[Episode],
    spec: EpisodeSpec,
    params: dict[str, Any] | None = None,
    episodes_per_tar: int = 0,
) -> Path:
    folder.mkdir()
    statistics = RunningStatistics(spec)
    for episode in episodes:
        statistics.add(episode)
    layout = zarr_writer.ZarrLayout(steps_per_chunk=16, chunks_per_shard=2, zstd_level=1)
    zarr_writer.write(folder / STORE, spec, episodes, layout)
    write_entries(folder / ENTRIES, map(entry_of, episodes))
    files = sorted(path for path in (folder / STORE).rglob("*") if path.is_file())
    tars = [folder / name for name in _write_tars(folder, episodes, episodes_per_tar)]
    manifest = ShardsManifest(
        params=params or {},
        seed=0,
        spec=spec,
        num_episodes=len(episodes),
        num_transitions=sum(episode.num_steps for episode in episodes),
        statistics=statistics.result(),
        files=[file_entry(folder, path) for path in (*files, *tars)],
        tar_shards=[path.relative_to(folder).as_posix() for path in tars],
        zarr=STORE,
        episodes=file_entry(folder, folder / ENTRIES),
        sources=Sources(episodes_manifest_sha256="", kept_sha256=""),
    )
    save_manifest(folder, manifest)
    return folder


def _write_tars(folder: Path, episodes: Sequence[Episode], most: int) -> list[str]:
    if not most:
        return []
    (folder / "tar").mkdir()
    names = []
    for start in range(0, len(episodes), most):
        names.append(f"tar/shard-{start:05d}.tar")
        tar_shards.write_shard(folder / names[-1], episodes[start : start + most], zstd_level=1)
    return names


def made_up_episode(spec: EpisodeSpec, index: int, num_steps: int) -> Episode:
    """An episode as a spec says, of noise; a function of its arguments."""
    observations = some_observations(spec, num_steps + 1, seed=2 * index)
    return Episode(
        index=index,
        task="reach",
        success=True,
        failure="",
        terminated=bool(index % 2),
        observations={name: values.numpy() for name, values in observations.items()},
        actions=some_actions(spec, num_steps, seed=2 * index + 1).numpy(),
        rewards=np.zeros(num_steps, dtype=np.float32),
    )


def write_made_up(
    folder: Path, spec: EpisodeSpec, lengths: Sequence[int] = (5, 1, 9, 3, 6, 7)
) -> Path:
    """Shards of such episodes, of these numbers of steps."""
    episodes = [made_up_episode(spec, index, steps) for index, steps in enumerate(lengths)]
    return write_shards(folder, episodes, spec)
