"""Small datasets as the stages write them."""

from __future__ import annotations

from pathlib import Path

from synthetic import (
    ENVIRONMENT,
    SyntheticCollector,
    filter_params,
    generate_params,
    shard_params,
)

from parrot_data.filter import filter_episodes
from parrot_data.generate import generate
from parrot_data.shard import shard


def write_datasets(folder: Path, count: int = 8) -> None:
    """Episodes, kept and shards, each in a folder of that name."""
    episodes, kept, shards = (folder / name for name in ("episodes", "kept", "shards"))
    params = generate_params(num_episodes=count)
    generate(params, ENVIRONMENT, episodes, workers=1, make_collector=SyntheticCollector())
    filter_episodes(filter_params(), episodes, kept)
    shard(shard_params(), episodes, kept, shards)
