"""What a user may vary about Meta-World."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from parrot_data.section import NotNegative, Section

MAX_SIMULATED_STEPS = 500  # an episode: the package refuses more


class ViewParams(Section):
    """Part `environment.image`: what the image of an observation shows.

    Attributes:
        camera: one of Meta-World's.
        size: side of the square image, in pixels.
    """

    camera: Literal["corner", "corner2", "corner3", "topview", "behindGripper", "gripperPOV"]
    size: int = Field(ge=16, le=256)


class ScriptParams(Section):
    """Part `environment.demonstrations`: how the scripts demonstrate.

    Attributes:
        action_noise: standard deviation of the Gaussian noise on every action dimension.
    """

    action_noise: NotNegative


class MetaworldParams(Section):
    """Section `environment` of params.yaml where it names Meta-World.

    Attributes:
        name: "metaworld".
        image: what observations show beside the state vector; null for the vector alone.
        action_repeat: steps of 1/80 s that the simulator takes an action.
        episode_steps: actions an episode, after which it is truncated.
        demonstrations: how its scripts demonstrate.
    """

    name: Literal["metaworld"]
    image: ViewParams | None
    action_repeat: int = Field(ge=1, le=20)
    episode_steps: int = Field(ge=1, le=MAX_SIMULATED_STEPS)
    demonstrations: ScriptParams

    @model_validator(mode="after")
    def _check(self) -> MetaworldParams:
        if self.action_repeat * self.episode_steps > MAX_SIMULATED_STEPS:
            raise ValueError(
                f"episode_steps: {self.episode_steps} of {self.action_repeat} simulated steps are "
                f"more than the {MAX_SIMULATED_STEPS} of an episode of Meta-World"
            )
        return self
