"""Small datasets as the stages write them."""

from __future__ import annotations

from pathlib import Path

from synthetic import SPEC, shard_params, synthetic_episodes, write_inputs

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.shard import shard


def write_datasets(folder: Path, count: int = 8, spec: EpisodeSpec = SPEC) -> None:
    """Episodes, kept and shards, each in a folder of that name."""
    inputs = write_inputs(folder, synthetic_episodes(count, spec=spec), spec)
    shard(shard_params(), *inputs, folder / "shards")
