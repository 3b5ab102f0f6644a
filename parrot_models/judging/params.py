"""What a user may vary about judging: of models by themselves, and of how they explore."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from parrot_data.section import Count, Positive, Section, Seed

FOLDER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")  # a name that is a folder of models/


def _without_doubles(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a name stands there twice")
    return names


def _folders(names: list[str]) -> list[str]:
    for name in names:
        if not FOLDER.fullmatch(name):
            raise ValueError(f"{name[:60]!r} is no name of a folder of models")
    return _without_doubles(names)


Names = Annotated[list[str], AfterValidator(_without_doubles)]  # of a world's families or tasks
Folders = Annotated[list[str], AfterValidator(_folders)]


class ProbeParams(Section):
    """Part `judge.probe`: what is read off what agents see, linearly.

    Attributes:
        array: a privileged array of the world's spec.
        dims: which of its numbers, counted through all of its axes.
        tasks: of the world; a probe is fitted for each.
        scenes: of each task, four fifths of them to fit, the others to test.
        max_random_steps: each scene is seen after 0 to so many uniformly random actions.
    """

    array: str = Field(min_length=1)
    dims: list[Annotated[int, Field(ge=0)]] = Field(min_length=1)
    tasks: Names = Field(min_length=1)
    scenes: int = Field(ge=10, le=10**6)
    max_random_steps: int = Field(ge=0, le=10**6)


class ReachParams(Section):
    """Part `judge.reach`: agents of which limits are asked which actions they can produce.

    Attributes:
        latent_bounds: half-widths of the box of z; agents without a box are asked in any case.
        edit_scales: largest edits, see `finetune.agent.edit_scale`, beside none.
    """

    latent_bounds: list[Positive] = Field(min_length=1, max_length=64)
    edit_scales: list[Positive] = Field(max_length=64)


class JudgeParams(Section):
    """Section `judge` of params.yaml.

    Attributes:
        models: folders below models/ that the pipeline judges; the command names its own.
        families: of the world's unseen scenes; empty for all that it has.
        seed: of scenes and policies; the same scenes for every policy and every model.
        num_episodes: rollouts of each policy in each family.
        num_demonstrations: successful ones in each family, that a model has to reproduce, and
            whose actions an agent over a prior should be able to produce.
        reach: which agents over a prior are asked that; null for none.
        probe: what is probed for; null for nothing.
    """

    models: Folders
    families: Names
    seed: Seed
    num_episodes: Count
    num_demonstrations: Count
    reach: ReachParams | None
    probe: ProbeParams | None


class ExploreParams(Section):
    """Section `explore` of params.yaml.

    Attributes:
        seed: of scenes and policies; the same scenes for every policy.
        num_episodes: of each policy in each family of scenes.
        families: of the world's unseen scenes; empty for all that it has.
        latent_bounds: bounds of |z| to sample the prior within, beside no bound.
        cell_m: side of the cells that visited positions are counted in, m.
    """

    seed: Seed
    num_episodes: Count
    families: Names
    latent_bounds: list[Positive]
    cell_m: Positive
