"""What a user may vary about the layout of the stores."""

from __future__ import annotations

from pydantic import Field, model_validator

from parrot_data.section import Count, Section


class ShardParams(Section):
    """Section `shard` of params.yaml.

    Attributes:
        episodes_per_chunk: episodes that Zarr reads at once.
        episodes_per_shard: episodes a Zarr file, a multiple of `episodes_per_chunk`.
        episodes_per_tar: episodes a tar; have at least as many tars as loader processes.
        zstd_level: compression of the Zarr store; the tars copy what `generate` compressed.
    """

    episodes_per_chunk: Count
    episodes_per_shard: Count
    episodes_per_tar: Count
    zstd_level: int = Field(ge=1, le=22)

    @model_validator(mode="after")
    def _check(self) -> ShardParams:
        if self.episodes_per_shard % self.episodes_per_chunk:
            raise ValueError("episodes_per_shard must be a multiple of episodes_per_chunk")
        return self
