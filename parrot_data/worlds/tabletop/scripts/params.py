"""What a user may vary about scripted episodes."""

from __future__ import annotations

from typing import get_args

from pydantic import Field, model_validator

from parrot_data.section import Count, NotNegative, Section, Seed
from parrot_data.worlds.tabletop.params import MAX_OBJECTS
from parrot_data.worlds.tabletop.tasks import TASKS, Family


class GenerateParams(Section):
    """Section `generate` of params.yaml.

    Attributes:
        seed: with an episode's index it determines the episode.
        num_episodes: how many to simulate, successes and failures.
        episodes_per_file: indices a tar; the unit of resuming and of sharing out.
        families: relative frequency of each family of scripted tasks. A fine-tuning task may be
            named as well: demonstrations of that very task, with objects of the test split.
        action_noise: standard deviation of the Gaussian noise on every action dimension.
        num_objects: least and greatest number of objects in a scene; a drawer is one of them. A
            fine-tuning task has its own.
        zstd_level: compression of the tars; the shards' tars inherit it.
    """

    seed: Seed
    num_episodes: Count
    episodes_per_file: Count
    families: dict[str, float] = Field(min_length=1)
    action_noise: NotNegative
    num_objects: list[int] = Field(min_length=2, max_length=2)
    zstd_level: int = Field(ge=1, le=22)

    @model_validator(mode="after")
    def _check(self) -> GenerateParams:
        unknown = set(self.families) - set(get_args(Family)) - TASKS.keys()
        if unknown:
            known = ", ".join((*get_args(Family), *TASKS))
            raise ValueError(f"families: {min(unknown)!r} is none of {known}")
        if min(self.families.values()) < 0.0 or sum(self.families.values()) <= 0.0:
            raise ValueError("families: no weight may be negative, and one must be positive")
        if not 1 <= self.num_objects[0] <= self.num_objects[1] <= MAX_OBJECTS:
            raise ValueError(
                f"num_objects: [least, greatest] with 1 <= least <= greatest <= {MAX_OBJECTS}"
            )
        return self
