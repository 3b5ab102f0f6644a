"""What a user may vary about the world; the world's constants live beside the parts they shape."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field

from parrot_data.errors import UserError
from parrot_data.section import Section

MAX_OBJECTS = 3  # in a scene


class EnvironmentParams(Section):
    """Section `environment` of params.yaml, read by every stage that simulates.

    Attributes:
        image_size: side of the square RGB observation, in pixels (paper: 48).
        proprioception: whether observations also carry the gripper's pose and opening; the image
            alone is the paper's setting.
        episode_steps: actions an episode, after which it is truncated (paper: 25).
    """

    image_size: int = Field(ge=16, le=256)
    proprioception: bool
    episode_steps: int = Field(ge=1, le=200)


def check_made_for(source: Path, made_for: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """See that data show the world that params describe, where both say so.

    Whether there is proprioception may differ: data hold it in any case.

    Args:
        source: the data, for the sentence.
        made_for: section `environment` of the params they were made with.
        wanted: the same of the params to be used with them.

    Raises:
        UserError: they do not.
    """
    for key in ("image_size", "episode_steps"):
        if key in made_for and key in wanted and made_for[key] != wanted[key]:
            raise UserError(
                f"environment.{key} is {wanted[key]}, but {source} was made with {made_for[key]}: "
                "set it back, or make the data again, from `parrot generate` on"
            )
