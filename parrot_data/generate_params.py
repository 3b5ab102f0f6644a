"""Section `generate` of params.yaml."""

from __future__ import annotations

from pydantic import Field, model_validator

from parrot_data.section import Count, NotNegative, Section, Seed


class GenerateParams(Section):
    """Section `generate` of params.yaml.

    Attributes:
        seed: with an episode's index it determines the episode.
        num_episodes: how many to simulate, successes and failures.
        episodes_per_file: indices a tar; the unit of resuming and of sharing out.
        tasks: relative frequency of each task, of those that the world demonstrates.
        zstd_level: compression of the tars; the shards' tars inherit it.
    """

    seed: Seed
    num_episodes: Count
    episodes_per_file: Count
    tasks: dict[str, NotNegative] = Field(min_length=1)
    zstd_level: int = Field(ge=1, le=22)

    @model_validator(mode="after")
    def _check(self) -> GenerateParams:
        if sum(self.tasks.values()) <= 0.0:
            raise ValueError("tasks: one weight at least must be positive")
        return self
