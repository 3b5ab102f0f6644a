"""What a user may vary about Meta-World."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from parrot_data.section import NotNegative, Section

MAX_SIMULATED_STEPS = 500  # an episode: the package refuses more


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
        image_size: side of the square RGB image that observations show beside the state vector, in
            pixels; null for the vector alone. To render takes EGL or OSMesa, no screen.
        action_repeat: steps of 1/80 s that the simulator takes an action.
        episode_steps: actions an episode, after which it is truncated.
        demonstrations: how its scripts demonstrate.
    """

    name: Literal["metaworld"]
    image_size: int | None = Field(ge=16, le=256)
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
