"""Datasets of any size, from a few episodes that were really simulated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.setting import Setting, Values
from parrot_data.episodes.episode import Episode
from parrot_data.filter import FilterParams, filter_episodes
from parrot_data.generate import EpisodeCollector, generate
from parrot_data.shard import shard
from parrot_data.stores import tar_shards
from parrot_data.worlds.tabletop.scripts.collect import Collector
from parrot_models.training.batches import TransitionBatches

NUM_REAL = 40  # attempts; a batch of 256 rarely draws one transition of their successes twice
# Several files even in the smallest dataset: what is held in memory is one of them.
LAYOUT = {"episodes_per_chunk": 10, "episodes_per_shard": 50, "episodes_per_tar": 50}


@dataclass(frozen=True)
class RepeatedEpisodes:
    """Stands in for the simulation: the same few episodes again and again, under new indices."""

    episodes: tuple[Episode, ...]

    def __call__(self) -> EpisodeCollector:
        """Itself: it is its own factory."""
        return self

    def collect(self, index: int) -> Episode:
        """The episode of that index."""
        return replace(self.episodes[index % len(self.episodes)], index=index)

    def close(self) -> None:
        """Release nothing."""


def scripted_collector(values: Values) -> Collector:
    """What the stage `generate` simulates with."""
    params = values.generate
    return Collector(
        values.environment, params.families, params.num_objects, params.action_noise, params.seed
    )


def real_successes(setting: Setting) -> RepeatedEpisodes:
    """Simulated successes of every family kept, made once and then read from the scratch folder."""
    path = setting.scratch / "real.tar"
    if not path.exists():
        collector = scripted_collector(setting.values)
        attempts = (collector.collect(index) for index in range(NUM_REAL))
        successes = [episode for episode in attempts if episode.success]
        collector.close()
        tar_shards.write_shard(path, successes, zstd_level=setting.values.generate.zstd_level)
    return RepeatedEpisodes(tuple(tar_shards.read_episodes([path])))


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
        generate(
            params,
            setting.values.environment,
            out,
            workers=1,
            make_collector=real_successes(setting),
        )
    return out


def filtered(setting: Setting, raw: Path) -> Path:
    """The decision to keep all that succeeded, made once."""
    kept = raw.with_name(f"{raw.name}-kept")
    if not kept.exists():
        families = setting.values.filter.families
        filter_episodes(
            FilterParams(families=families, max_episodes_per_family=0, max_episodes=0), raw, kept
        )
    return kept


def sharded(setting: Setting, num_episodes: int) -> Path:
    """Shards of that many successes, made once."""
    out = shards_folder(setting, num_episodes)
    if not out.exists():
        raw = repeated_raw_data(setting, num_episodes)
        params = setting.values.shard.model_copy(update=LAYOUT)
        shard(params, raw, filtered(setting, raw), out)
    return out


def decoded(setting: Setting, num_episodes: int) -> TransitionBatches:
    """The transitions of those shards, ready for training; decoded once, 180 kB an episode."""
    cache = setting.scratch / f"decoded-{num_episodes}"
    fraction = setting.values.train_prior.held_out_fraction
    return TransitionBatches(sharded(setting, num_episodes), cache, fraction)
