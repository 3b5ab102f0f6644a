"""Small datasets as the stages write them."""

from __future__ import annotations

from pathlib import Path

from synthetic import SPEC, filter_params, shard_params, synthetic_episodes, write_raw

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.filter import filter_episodes
from parrot_data.shard import shard


def write_datasets(folder: Path, count: int = 8, spec: EpisodeSpec = SPEC) -> None:
    """Episodes, kept and shards, each in a folder of that name."""
    episodes, kept, shards = (folder / name for name in ("episodes", "kept", "shards"))
    write_raw(episodes, synthetic_episodes(count, spec=spec), spec)
    filter_episodes(filter_params(), episodes, kept)
    shard(shard_params(), episodes, kept, shards)
