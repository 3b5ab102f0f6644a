"""What a user may vary about the world; the world's constants live beside the parts they shape."""

from __future__ import annotations

from pydantic import Field

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
