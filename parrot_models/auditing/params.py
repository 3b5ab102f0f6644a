"""What a user may vary about an audit."""

from __future__ import annotations

import itertools
from typing import Annotated

from pydantic import AfterValidator, Field

from parrot_data.section import Count, Positive, Section, Seed, SomeCount
from parrot_models.judging.params import Names


def _ascending(bounds: list[float]) -> list[float]:
    if any(low >= high for low, high in itertools.pairwise(bounds)):
        raise ValueError("each bound has to be greater than the one before it")
    return bounds


Bounds = Annotated[list[Positive], Field(min_length=1, max_length=64), AfterValidator(_ascending)]


class AuditParams(Section):
    """Section `audit` of params.yaml.

    Attributes:
        latent_bounds: bounds of |z| within which demonstrated actions are counted, ascending; an
            agent's own is `finetune.agent.latent_bound`.
        num_worst: steps that are named, those that the prior finds least likely.
        tasks: of the world, to act in with `--judge`; empty for those of the demonstrations.
        num_episodes: rollouts of each policy in each task.
        seed: of scenes and policies, the same scenes for every policy; and of the uniform actions
            that are counted within the bounds beside the demonstrated ones.
    """

    latent_bounds: Bounds
    num_worst: SomeCount
    tasks: Names
    num_episodes: Count
    seed: Seed
