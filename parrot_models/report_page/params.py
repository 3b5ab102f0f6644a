"""What a user may vary about the pages."""

from __future__ import annotations

from pydantic import Field

from parrot_data.section import Section, Seed, Seeds
from parrot_data.worlds.tabletop.tasks import Tasks


class ReportParams(Section):
    """Section `report` of params.yaml.

    Attributes:
        contact_sheet_episodes: kept episodes pictured, spread evenly over the tasks.
        contact_sheet_frames: images of each, from the first to the last.
        contact_sheet_columns: episodes side by side.
        bootstrap_draws, bootstrap_seed: of the intervals over tasks and seeds.
    """

    contact_sheet_episodes: int = Field(ge=1, le=200)
    contact_sheet_frames: int = Field(ge=2, le=26)
    contact_sheet_columns: int = Field(ge=1, le=4)
    bootstrap_draws: int = Field(ge=100, le=100_000)
    bootstrap_seed: Seed


class StudyParams(Section):
    """Section `study` of a study's params.yaml.

    Attributes:
        episodes: where the episodes lie that all priors are trained on; read by dvc.yaml.
        priors: names of the priors compared: numbers of kept episodes, or families of data.
        tasks: what agents learn with each.
        seeds: of the agents.
    """

    episodes: str
    priors: list[str] = Field(min_length=1)
    tasks: Tasks = Field(min_length=1)
    seeds: Seeds = Field(min_length=1)
