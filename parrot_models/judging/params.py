"""What a user may vary about the measuring of exploration."""

from __future__ import annotations

from pydantic import Field

from parrot_data.section import Count, Positive, Section, Seed


class ExploreParams(Section):
    """Section `explore` of params.yaml.

    Attributes:
        seed: of scenes and policies; the same scenes for every policy.
        num_episodes: of each policy in each family of scenes.
        num_objects: objects in a scene, all of the test split.
        latent_bounds: bounds of |z| to sample the prior within, beside no bound.
        cell_m: side of the cells that visited positions are counted in, m.
        opening_cell_m: the same for the gripper's opening.
    """

    seed: Seed
    num_episodes: Count
    num_objects: int = Field(ge=1, le=3)
    latent_bounds: list[Positive]
    cell_m: Positive
    opening_cell_m: Positive
