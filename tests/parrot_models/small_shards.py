"""Shards as the stage `shard` writes them, two to a dataset, without the Zarr copy."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from parrot_data.episodes.episode import Episode
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import ENTRIES, entry_of, write_entries
from parrot_data.stores.manifest import ShardsManifest, Sources, save_manifest
from parrot_data.stores.records import file_entry
from parrot_data.stores.statistics import RunningStatistics


def write_shards(
    folder: Path, episodes: Sequence[Episode], params: dict[str, Any] | None = None
) -> Path:
    folder.mkdir()
    statistics = RunningStatistics()
    for episode in episodes:
        statistics.add(episode)
    half = len(episodes) // 2
    parts = {"tar/shard-00000.tar": episodes[:half], "tar/shard-00001.tar": episodes[half:]}
    (folder / "tar").mkdir()
    for name, part in parts.items():
        tar_shards.write_shard(folder / name, part, zstd_level=1)
    write_entries(folder / ENTRIES, map(entry_of, episodes))
    manifest = ShardsManifest(
        params=params or {},
        seed=0,
        num_episodes=len(episodes),
        num_transitions=sum(episode.num_steps for episode in episodes),
        statistics=statistics.result(),
        files=[file_entry(folder, folder / name) for name in parts],
        tar_shards=list(parts),
        zarr="episodes.zarr",
        episodes=file_entry(folder, folder / ENTRIES),
        sources=Sources(episodes_manifest_sha256="", kept_sha256=""),
    )
    save_manifest(folder, manifest)
    return folder
