"""What a user may vary about the tabletop; its constants live beside the parts they shape."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from parrot_data.section import NotNegative, Section

MAX_OBJECTS = 3  # in a scene


class DemonstrationParams(Section):
    """Part `environment.demonstrations`: how the scripts demonstrate.

    Attributes:
        action_noise: standard deviation of the Gaussian noise on every action dimension.
        num_objects: least and greatest number of objects in a scene; a drawer is one of them. A
            fine-tuning task has its own.
    """

    action_noise: NotNegative
    num_objects: list[int] = Field(min_length=2, max_length=2)

    @model_validator(mode="after")
    def _check(self) -> DemonstrationParams:
        if not 1 <= self.num_objects[0] <= self.num_objects[1] <= MAX_OBJECTS:
            raise ValueError(
                f"num_objects: [least, greatest] with 1 <= least <= greatest <= {MAX_OBJECTS}"
            )
        return self


class TabletopParams(Section):
    """Section `environment` of params.yaml where it names the tabletop.

    Attributes:
        name: "tabletop".
        image_size: side of the square RGB observation, in pixels (paper: 48).
        proprioception: whether observations also carry the gripper's pose and opening; the image
            alone is the paper's setting.
        episode_steps: actions an episode, after which it is truncated (paper: 25).
        demonstrations: how its scripts demonstrate.
    """

    name: Literal["tabletop"]
    image_size: int = Field(ge=16, le=256)
    proprioception: bool
    episode_steps: int = Field(ge=1, le=200)
    demonstrations: DemonstrationParams
