"""What a user may vary about the pages."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from parrot_data.section import Section, Seed, Seeds


class ReportParams(Section):
    """Section `report` of params.yaml.

    Attributes:
        contact_sheet_episodes: kept episodes shown, spread evenly over the tasks.
        contact_sheet_frames: images of each, from the first to the last.
        contact_sheet_columns: episodes side by side.
        bootstrap_draws, bootstrap_seed: of the intervals over tasks and seeds.
    """

    contact_sheet_episodes: int = Field(ge=1, le=200)
    contact_sheet_frames: int = Field(ge=2, le=64)
    contact_sheet_columns: int = Field(ge=1, le=4)
    bootstrap_draws: int = Field(ge=100, le=100_000)
    bootstrap_seed: Seed


def _without_doubles(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("a name stands there twice")
    return names


Names = Annotated[list[str], Field(min_length=1), AfterValidator(_without_doubles)]


class StudyParams(Section):
    """Section `study` of a study's params.yaml.

    Attributes:
        episodes: where the episodes lie that all priors are trained on; read by dvc.yaml.
        priors: names of the priors compared: numbers of kept episodes, or tasks of the data.
        tasks: what agents learn with each; of the world.
        seeds: of the agents.
    """

    episodes: str
    priors: Names
    tasks: Names
    seeds: Seeds = Field(min_length=1)
