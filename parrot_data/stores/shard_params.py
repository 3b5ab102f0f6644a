"""What a user may vary about the layout of the stores."""

from __future__ import annotations

from pydantic import Field

from parrot_data.section import Count, Section, SomeCount


class ShardParams(Section):
    """Section `shard` of params.yaml.

    Attributes:
        steps_per_chunk: images that Zarr reads at once; of large ones as many as make 2 MiB, of
            short rows ten times as many.
        chunks_per_shard: chunks a Zarr file; about one file an array is in memory while writing.
        episodes_per_tar: episodes a tar; have at least as many tars as loader processes.
        zstd_level: compression of the Zarr store; the tars copy what `generate` compressed.
    """

    steps_per_chunk: Count
    chunks_per_shard: SomeCount
    episodes_per_tar: Count
    zstd_level: int = Field(ge=1, le=22)
