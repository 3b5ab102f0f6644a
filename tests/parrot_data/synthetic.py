"""Small made-up episodes of several specs, and raw data of them as `generate` writes them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import (
    ActionSpec,
    ArraySpec,
    EpisodeSpec,
    ImageSpec,
    VectorSpec,
)
from parrot_data.filter import FilterParams, filter_episodes
from parrot_data.shard import ShardParams
from parrot_data.stores import tar_shards
from parrot_data.stores.blocks import blocks_of, complete, gather
from parrot_data.stores.entries import entry_of, line_of
from parrot_data.stores.manifest import EpisodesManifest, save_manifest

TASKS = ("pick", "place")
LENGTHS = (5, 1, 12, 80, 2, 30, 17)  # steps of the episodes in turn


def make_spec(
    observations: dict[str, ImageSpec | VectorSpec],
    action_dim: int,
    privileged: dict[str, ArraySpec] | None = None,
    *,
    is_bounded: bool = True,
) -> EpisodeSpec:
    """A spec without what only special parts need."""
    bound = [1.0] * action_dim if is_bounded else None
    return EpisodeSpec(
        observations=observations,
        action=ActionSpec(dim=action_dim, low=[-1.0] * action_dim if bound else None, high=bound),
        control_rate_hz=None,
        cameras={},
        tool=None,
        mirror=None,
        privileged=privileged or {},
    )


def tabletop_like(size: int = 8) -> EpisodeSpec:
    """What the tabletop's episodes hold, with images of another size."""
    return make_spec(
        {"image": ImageSpec(height=size, width=size), "proprioception": VectorSpec(dim=8)},
        7,
        {
            "object_positions": ArraySpec(dtype="float32", shape=[3, 3]),
            "target_position": ArraySpec(dtype="float32", shape=[3]),
        },
    )


SPEC = tabletop_like()
SPECS = {
    "tabletop-like": SPEC,
    "vectors alone": make_spec({"state": VectorSpec(dim=5), "goal": VectorSpec(dim=1)}, 1),
    "two images": make_spec(
        {"Wrist": ImageSpec(height=5, width=9), "front": ImageSpec(height=12, width=8)},
        14,
        is_bounded=False,
    ),
    "privileged of all kinds": make_spec(
        {"state": VectorSpec(dim=2)},
        3,
        {
            "contacts": ArraySpec(dtype="bool", shape=[4]),
            "depth": ArraySpec(dtype="uint8", shape=[4, 3]),
            "joints": ArraySpec(dtype="float64", shape=[2, 2, 2]),
            "phase": ArraySpec(dtype="int32", shape=[]),
            "time": ArraySpec(dtype="int64", shape=[]),
        },
    ),
}


def synthetic_episode(
    index: int, seed: int = 0, spec: EpisodeSpec = SPEC, num_steps: int | None = None
) -> Episode:
    """A function of its arguments; about two in three succeed, and scenes have 1 to 3 objects."""
    rng = np.random.default_rng([seed, index])
    task, success = str(rng.choice(TASKS)), bool(rng.random() < 2 / 3)
    steps = num_steps or LENGTHS[index % len(LENGTHS)]
    rewards = np.zeros(steps, dtype=np.float32)
    rewards[-1] = success
    return Episode(
        index=index,
        task=task,
        success=success,
        failure="" if success else str(rng.choice(["never_grasped", "dropped"])),
        terminated=success and index % 2 == 0,
        facts={
            "family": task,
            "objects": [f"object-é-{i}" for i in range(int(rng.integers(1, 4)))],
            "container": "bowl" if task == "place" else None,
            "size_m": 0.125,
        },
        observations={
            name: _some(rng, each.dtype, (steps + 1, *each.shape))
            for name, each in spec.observations.items()
        },
        actions=_some(rng, np.dtype(np.float32), (steps, spec.action.dim)),
        rewards=rewards,
        privileged={
            name: _some(rng, np.dtype(each.dtype), (steps + 1, *each.shape))
            for name, each in spec.privileged.items()
        },
    )


def _some(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind == "f":
        return rng.uniform(-1, 1, shape).astype(dtype)
    return rng.integers(0, 2 if dtype.kind == "b" else 256, shape).astype(dtype)


def synthetic_episodes(count: int, seed: int = 0, spec: EpisodeSpec = SPEC) -> list[Episode]:
    return [synthetic_episode(index, seed, spec) for index in range(count)]


def write_raw(
    folder: Path,
    episodes: Iterable[Episode],
    spec: EpisodeSpec = SPEC,
    *,
    episodes_per_file: int = 5,
    seed: int = 0,
) -> Path:
    """Raw episodes and their manifest, as `generate` leaves them."""
    folder.mkdir(parents=True)
    episodes = list(episodes)
    blocks = blocks_of(len(episodes), episodes_per_file)
    for block in blocks:
        part = episodes[block.start : block.stop]
        tar_shards.write_shard(block.tar(folder), part, zstd_level=3)
        block.entries(folder).write_text("".join(line_of(entry_of(episode)) for episode in part))
        complete(block, folder)
    files, entries = gather(folder, blocks)
    for block in blocks:
        block.entries(folder).unlink()
        block.record(folder).unlink()
    manifest = EpisodesManifest(
        params={"generate": {"seed": seed}},
        seed=seed,
        spec=spec,
        num_episodes=len(episodes),
        files=files,
        episodes=entries,
    )
    save_manifest(folder, manifest)
    return folder


def filter_params(**changes: object) -> FilterParams:
    values = {"tasks": [], "max_episodes_per_task": 0, "max_episodes": 0}
    return FilterParams(**{**values, **changes})


def write_inputs(
    folder: Path, episodes: Iterable[Episode], spec: EpisodeSpec = SPEC, *, seed: int = 0
) -> tuple[Path, Path]:
    """What `shard` reads, in a folder: raw episodes and the decision about them."""
    raw, kept = folder / "episodes", folder / "kept"
    write_raw(raw, episodes, spec, seed=seed)
    filter_episodes(filter_params(), raw, kept)
    return raw, kept


def shard_params(**changes: object) -> ShardParams:
    values = {"steps_per_chunk": 16, "chunks_per_shard": 3, "episodes_per_tar": 6, "zstd_level": 3}
    return ShardParams(**{**values, **changes})


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def hashes_of(episodes: Iterable[Episode]) -> list[str]:
    return [episode.content_hash() for episode in episodes]
