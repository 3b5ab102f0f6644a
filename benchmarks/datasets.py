"""Datasets of any size, from a few episodes that were really simulated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.setting import Setting, Values
from parrot_data import generate as generation
from parrot_data import simulation
from parrot_data.episodes.episode import Episode
from parrot_data.filter import FilterParams, filter_episodes
from parrot_data.shard import shard
from parrot_data.stores import tar_shards
from parrot_data.workers import share_out
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_models.training.batches import TransitionBatches

NUM_REAL = 40  # attempts; a batch of 256 rarely draws one transition of their successes twice
EPISODE_STEPS = 25  # about: a chunk holds ten episodes
# Several files even in the smallest dataset: what is held in memory is one of them.
LAYOUT = {"steps_per_chunk": 10 * EPISODE_STEPS, "chunks_per_shard": 5, "episodes_per_tar": 50}


@dataclass(frozen=True)
class RepeatedEpisodes:
    """Stands in for the simulation: the same few episodes again and again, under new indices."""

    episodes: tuple[Episode, ...]

    def __call__(self, *_: Any) -> RepeatedEpisodes:
        """Itself: it is its own factory."""
        return self

    def episode(self, index: int) -> Episode:
        """The episode of that index."""
        return replace(self.episodes[index % len(self.episodes)], index=index)

    def close(self) -> None:
        """Release nothing."""


def demonstrations(values: Values) -> Demonstrations:
    """What the stage `generate` simulates with."""
    return Demonstrations(make_world(values.tabletop), values.generate.tasks, values.generate.seed)


@contextmanager
def generation_here(stand_in: RepeatedEpisodes | None = None) -> Iterator[None]:
    """Let `generate` simulate in this very process, the one that is measured.

    Args:
        stand_in: gives the episodes in place of the simulation.
    """
    with (
        patch.object(simulation, "share_out", _share_out_here),
        patch.object(generation, "Demonstrations", stand_in or Demonstrations),
        patch.object(simulation, "Demonstrations", stand_in or Demonstrations),
    ):
        yield


def _share_out_here(*arguments: Any, apart: bool) -> None:
    del apart
    share_out(*arguments)


def real_successes(setting: Setting) -> RepeatedEpisodes:
    """Simulated successes, made once and then read from the scratch folder."""
    path, spec = setting.scratch / "real.tar", setting.values.spec
    if not path.exists():
        with closing(demonstrations(setting.values)) as simulated:
            attempts = (simulated.episode(index) for index in range(NUM_REAL))
            successes = [episode for episode in attempts if episode.success]
        tar_shards.write_shard(path, successes, zstd_level=setting.values.generate.zstd_level)
    return RepeatedEpisodes(tuple(tar_shards.read_episodes([path], spec)))


def raw_folder(setting: Setting, num_episodes: int) -> Path:
    """Where raw data of that size are made."""
    return setting.scratch / f"raw-{num_episodes}"


def shards_folder(setting: Setting, num_episodes: int) -> Path:
    """Where shards of that size are made."""
    return setting.scratch / f"shards-{num_episodes}"


def repeated_raw_data(setting: Setting, num_episodes: int) -> Path:
    """Raw data of that many successes, as `generate` writes them, made once."""
    out = raw_folder(setting, num_episodes)
    if not out.exists():
        params = setting.values.generate.model_copy(
            update={"num_episodes": num_episodes, "episodes_per_file": 50}
        )
        with generation_here(real_successes(setting)):
            generation.generate(params, setting.values.tabletop, out, workers=1)
    return out


def filtered(raw: Path) -> Path:
    """The decision to keep all that succeeded, made once."""
    kept = raw.with_name(f"{raw.name}-kept")
    if not kept.exists():
        everything = FilterParams(tasks=[], max_episodes_per_task=0, max_episodes=0)
        filter_episodes(everything, raw, kept)
    return kept


def sharded(setting: Setting, num_episodes: int) -> Path:
    """Shards of that many successes, made once."""
    out = shards_folder(setting, num_episodes)
    if not out.exists():
        raw = repeated_raw_data(setting, num_episodes)
        params = setting.values.shard.model_copy(update=LAYOUT)
        shard(params, raw, filtered(raw), out)
    return out


def decoded(setting: Setting, num_episodes: int) -> TransitionBatches:
    """The transitions of those shards, ready for training; decoded once, 180 kB an episode."""
    cache = setting.scratch / f"decoded-{num_episodes}"
    fraction = setting.values.train_prior.held_out_fraction
    return TransitionBatches(sharded(setting, num_episodes), cache, fraction)
