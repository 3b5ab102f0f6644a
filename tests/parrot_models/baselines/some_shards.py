"""Made-up demonstrations of any spec, and shards of them with the Zarr store alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.stores import zarr_writer
from parrot_data.stores.entries import ENTRIES, entry_of, write_entries
from parrot_data.stores.manifest import ShardsManifest, Sources, save_manifest
from parrot_data.stores.records import file_entry
from parrot_data.stores.statistics import RunningStatistics

ZARR = "episodes.zarr"
LENGTHS = (5, 80, 12, 6, 30, 7, 9, 20)  # steps of demonstrations in turn


def demonstration(index: int, spec: EpisodeSpec, num_steps: int) -> Episode:
    """Goes one way all along, which every observation shows."""
    rng = np.random.default_rng([7, index])
    dim = spec.action.dim
    way = rng.uniform(-0.7, 0.7, dim)
    normalised = way + 0.05 * rng.normal(size=(num_steps, dim))
    offset, scale = (0.0, 1.0) if spec.action.low else (np.arange(dim), 10.0 * (1 + np.arange(dim)))
    time = np.arange(num_steps + 1)
    observations: dict[str, np.ndarray] = {}
    for name, size in spec.vectors.items():
        shown = np.resize(way, size) + 0.01 * time[:, None] + 0.01 * rng.normal(size=size)
        observations[name] = (0.2 * shown).astype(np.float32)
    for name, image in spec.images.items():
        pixels = np.full((num_steps + 1, *image.shape), 60, np.uint8)
        left = int((way[0] + 1) / 2 * (image.width - 6))
        pixels[:, 4:10, left : left + 6] = rng.integers(0, 256, 3)
        observations[name] = pixels
    return episode(index, observations, (normalised * scale + offset).astype(np.float32))


def tagged_episode(index: int, spec: EpisodeSpec, num_steps: int) -> Episode:
    """Every observation and action says of which episode and step it is."""
    tags = np.stack([np.full(num_steps + 1, index), np.arange(num_steps + 1)], 1)
    observations: dict[str, np.ndarray] = {}
    for name, size in spec.vectors.items():
        observations[name] = np.pad(tags, ((0, 0), (0, size - 2))).astype(np.float32)
    for name, image in spec.images.items():
        pixels = np.zeros((num_steps + 1, *image.shape), np.uint8)
        pixels[..., :2] = tags[:, None, None]
        observations[name] = pixels
    actions = np.pad(tags[:-1], ((0, 0), (0, spec.action.dim - 2))).astype(np.float32)
    return episode(index, observations, actions)


def episode(index: int, observations: dict[str, np.ndarray], actions: np.ndarray) -> Episode:
    return Episode(
        index=index,
        task="pick",
        success=True,
        failure="",
        terminated=True,
        observations=observations,
        actions=actions,
        rewards=np.zeros(len(actions), np.float32),
    )


def write_zarr_shards(folder: Path, spec: EpisodeSpec, episodes: Sequence[Episode]) -> Path:
    """As the stage `shard` leaves them, without tars."""
    folder.mkdir(parents=True)
    statistics = RunningStatistics(spec)
    for each in episodes:
        statistics.add(each)
    layout = zarr_writer.ZarrLayout(16, 3, 1)
    zarr_writer.write(folder / ZARR, spec, episodes, layout)
    write_entries(folder / ENTRIES, map(entry_of, episodes))
    files = sorted(path for path in (folder / ZARR).rglob("*") if path.is_file())
    manifest = ShardsManifest(
        params={},
        seed=0,
        spec=spec,
        num_episodes=len(episodes),
        num_transitions=sum(each.num_steps for each in episodes),
        statistics=statistics.result(),
        files=[file_entry(folder, path) for path in files],
        tar_shards=[],
        zarr=ZARR,
        episodes=file_entry(folder, folder / ENTRIES),
        sources=Sources(episodes_manifest_sha256="", kept_sha256=""),
    )
    save_manifest(folder, manifest)
    return folder


def write_demonstrations(folder: Path, spec: EpisodeSpec, lengths: Sequence[int] = LENGTHS) -> Path:
    return write_zarr_shards(
        folder, spec, [demonstration(i, spec, steps) for i, steps in enumerate(lengths)]
    )
