"""Small made-up episodes, and a collector of them that stands in for the simulation."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.filter import FilterParams
from parrot_data.generate import GenerateParams
from parrot_data.shard import ShardParams
from parrot_data.worlds.tabletop.params import EnvironmentParams

FAMILIES = ("pick", "place")
ENVIRONMENT = EnvironmentParams(image_size=48, proprioception=True, episode_steps=25)


def synthetic_episode(index: int, seed: int = 0, num_steps: int = 5, size: int = 8) -> Episode:
    """A function of its arguments; about two in three succeed, and scenes have 1 to 3 objects."""
    rng = np.random.default_rng([seed, index])
    task, success = str(rng.choice(FAMILIES)), bool(rng.random() < 2 / 3)
    num_objects = int(rng.integers(1, 4))
    positions = np.full((num_steps + 1, 3, 3), np.nan, dtype=np.float32)
    positions[:, :num_objects] = rng.normal(size=(num_steps + 1, num_objects, 3))
    rewards = np.zeros(num_steps, dtype=np.float32)
    rewards[-1] = success
    return Episode(
        index=index,
        task=task,
        objects=tuple(f"object-é-{i}" for i in range(num_objects)),
        container="bowl" if task == "place" else "",
        success=success,
        failure="" if success else str(rng.choice(["never_grasped", "dropped"])),
        images=rng.integers(0, 256, (num_steps + 1, size, size, 3), dtype=np.uint8),
        proprioception=rng.normal(size=(num_steps + 1, 8)).astype(np.float32),
        actions=rng.uniform(-1, 1, (num_steps, 7)).astype(np.float32),
        rewards=rewards,
        object_positions=positions,
    )


def synthetic_episodes(count: int, seed: int = 0) -> list[Episode]:
    return [synthetic_episode(index, seed) for index in range(count)]


@dataclass(frozen=True)
class SyntheticCollector:
    """Collects synthetic episodes; instances are picklable factories of themselves.

    Attributes:
        seed: of the episodes.
        size: side of their images.
        delay_s: how long an episode takes.
        log: folder in which every process notes the indices it collected, in a file by its id.
        broken_at: index at which collecting fails.
        error: how it fails: "user", "defect" or "death".
    """

    seed: int = 0
    size: int = 8
    delay_s: float = 0.0
    log: Path | None = None
    broken_at: int = -1
    error: str = "user"

    def __call__(self) -> SyntheticCollector:
        return self

    def collect(self, index: int) -> Episode:
        if self.log:
            with (self.log / str(os.getpid())).open("a") as file:
                file.write(f"{index}\n")
        if index == self.broken_at:
            if self.error == "user":
                raise UserError("The scene is too crowded.")
            if self.error == "defect":
                raise ZeroDivisionError("the world is flat")
            os._exit(7)
        time.sleep(self.delay_s)
        return synthetic_episode(index, self.seed, size=self.size)

    def close(self) -> None:
        pass


def generate_params(**changes: object) -> GenerateParams:
    values = {
        "seed": 0,
        "num_episodes": 23,
        "episodes_per_file": 5,
        "families": {"pick": 1.0, "place": 1.0},
        "action_noise": 0.1,
        "num_objects": [1, 3],
        "zstd_level": 3,
    }
    return GenerateParams(**{**values, **changes})


def filter_params(**changes: object) -> FilterParams:
    values = {"families": ["pick", "place"], "max_episodes_per_family": 0, "max_episodes": 0}
    return FilterParams(**{**values, **changes})


def shard_params(**changes: object) -> ShardParams:
    values = {
        "episodes_per_chunk": 2,
        "episodes_per_shard": 4,
        "episodes_per_tar": 6,
        "zstd_level": 3,
    }
    return ShardParams(**{**values, **changes})


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file under a folder, by its relative name."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def hashes_of(episodes: object) -> list[str]:
    return [episode.content_hash() for episode in episodes]
