"""The scripted place: grasp, carry over the container, let go, rise."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot_data.worlds.tabletop.containers import CONTAINERS
from parrot_data.worlds.tabletop.objects import Vector
from parrot_data.worlds.tabletop.scene import Scene
from parrot_data.worlds.tabletop.scripts.grasp import (
    GraspPolicy,
    GraspStyle,
    GraspVariety,
    draw_grasp_style,
)
from parrot_data.worlds.tabletop.scripts.motions import CLOSE, OPEN, towards

VARIETY = GraspVariety(min_speed=0.55, max_detour_steps=2, min_detour_height=0.08, max_stumbles=0)
LIFTED_M = 0.045  # of the target over the table before it is carried
OVER_M = 0.015  # sideways error at which the target is lowered
LOWERED_M = 0.008  # height error at which it is let go
CLEARANCE_M = 0.03  # at least, of the target over its height of rest while it is carried


@dataclass(frozen=True)
class PlaceStyle:
    """What varies from one scripted placement to the next.

    Attributes:
        grasp: the grasp's own variation.
        carry_speed: largest translation action once the target is grasped.
        carry_height: of the tool over the table while it carries, m; higher where the container is.
        release_height: of the target's center over its height of rest in the container, m.
        offset: (2,) of the release from the container's middle, m.
    """

    grasp: GraspStyle
    carry_speed: float
    carry_height: float
    release_height: float
    offset: NDArray[np.float64]


def draw_place_style(scene: Scene, target: str, rng: np.random.Generator) -> PlaceStyle:
    """Draw the variation of one episode."""
    return PlaceStyle(
        grasp=draw_grasp_style(scene, target, VARIETY, rng),
        carry_speed=rng.uniform(0.5, 0.88),
        carry_height=rng.uniform(0.085, 0.11),
        release_height=rng.uniform(0.004, 0.016),
        offset=rng.normal(0.0, 0.008, size=2).clip(-0.015, 0.015),
    )


class PlacePolicy:
    """Feedback on the privileged state of a scene with a container."""

    def __init__(
        self, scene: Scene, target: str, container: str, xy: NDArray[np.float64], style: PlaceStyle
    ) -> None:
        """Prepare to put `target` into `container`, which stands at `xy` (2,), m."""
        self._scene, self._target, self._style = scene, target, style
        self._x, self._y = (xy + style.offset).tolist()  # where the target is to go
        self._rest = CONTAINERS[container].floor_height + scene.specs[target].rest_height
        self._grasp = GraspPolicy(scene, target, style.grasp)
        self._carry_height = max(style.carry_height, self._rest + CLEARANCE_M)
        self._is_released = False

    def action(self) -> NDArray[np.float64]:
        """The next action (7,), before noise."""
        if self._is_released:
            return self._rise()
        target = self._scene.object_position(self._target)
        is_carried = target[2] > LIFTED_M and self._scene.is_grasped(self._target)
        if not is_carried and self._sideways(target) > 3 * OVER_M:
            return self._grasp.action()
        return self._carry_or_release(target)

    def _carry_or_release(self, target: Vector) -> NDArray[np.float64]:
        tool, _ = self._scene.tool_pose()
        # Steer the object rather than the tool: it hangs where the fingers happened to close.
        x, y = tool[0] + self._x - target[0], tool[1] + self._y - target[1]
        if self._sideways(target) > OVER_M:
            return self._move((x, y, self._carry_height), CLOSE)
        height = self._rest + self._style.release_height
        if target[2] > height + LOWERED_M:
            return self._move((x, y, tool[2] + height - target[2]), CLOSE)
        self._is_released = True
        return self._move(tool, OPEN)

    def _sideways(self, target: Vector) -> float:
        return math.hypot(target[0] - self._x, target[1] - self._y)

    def _rise(self) -> NDArray[np.float64]:
        tool, _ = self._scene.tool_pose()
        return self._move((tool[0], tool[1], self._carry_height + 0.03), OPEN)

    def _move(self, goal: Vector, gripper: float) -> NDArray[np.float64]:
        return towards(self._scene, goal, gripper, self._style.carry_speed)
