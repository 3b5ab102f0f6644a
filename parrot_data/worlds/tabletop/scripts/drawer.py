"""The scripted drawer: grasp the knob, pull it out, let go, rise."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from parrot_data.worlds.tabletop.drawer import TRAVEL_M
from parrot_data.worlds.tabletop.objects import Vector
from parrot_data.worlds.tabletop.scene import Scene
from parrot_data.worlds.tabletop.scripts.grasp import (
    GraspPolicy,
    GraspStyle,
    GraspVariety,
    draw_grasp_style,
)
from parrot_data.worlds.tabletop.scripts.motions import CLOSE, OPEN, towards
from parrot_data.worlds.tabletop.tasks import OPEN_M

# A detour stays above the case, which does not give way.
VARIETY = GraspVariety(min_speed=0.4, max_detour_steps=3, min_detour_height=0.08, max_stumbles=1)
CLOSED_M = 0.036  # gap between the fingers at which they can hold the knob, which is 0.030 wide
HELD_M = 0.024  # from the tool to the middle of the knob


@dataclass(frozen=True)
class DrawerStyle:
    """What varies from one scripted pull to the next.

    Attributes:
        grasp: the grasp's own variation.
        pull_speed: largest translation action while the knob is held.
        pull_to: opening at which the knob is let go, m.
        rise_height: of the tool over the table at the end, m.
    """

    grasp: GraspStyle
    pull_speed: float
    pull_to: float
    rise_height: float


def draw_drawer_style(scene: Scene, target: str, rng: np.random.Generator) -> DrawerStyle:
    """Draw the variation of one episode."""
    return DrawerStyle(
        grasp=draw_grasp_style(scene, target, VARIETY, rng),
        pull_speed=rng.uniform(0.35, 0.8),
        pull_to=rng.uniform(OPEN_M + 0.005, TRAVEL_M - 0.002),
        rise_height=rng.uniform(0.10, 0.14),
    )


class DrawerPolicy:
    """Feedback on the privileged state of a scene with a drawer."""

    def __init__(self, scene: Scene, target: str, style: DrawerStyle) -> None:
        """Prepare to open the drawer `target` in the scene as it was just reset."""
        self._scene, self._target, self._style = scene, target, style
        self._grasp = GraspPolicy(scene, target, style.grasp)
        self._is_released = False

    def action(self) -> NDArray[np.float64]:
        """The next action (7,), before noise."""
        if self._is_released and self._scene.drawer_opening(self._target) < OPEN_M:
            self._is_released = False  # noise has pushed it back
            self._grasp_anew()
        if self._is_released:
            return self._rise()
        if self._scene.arm.opening() > CLOSED_M:
            return self._grasp.action()
        if self._is_around_knob():
            return self._pull_or_release()
        self._grasp_anew()
        return self._grasp.action()

    def _is_around_knob(self) -> bool:
        """Whether closed fingers are where they hold the knob.

        Not whether they touch it: the knob gives way along one axis only, so that under noise one
        finger or the other is off it at times, and it follows all the same.
        """
        tool, _ = self._scene.tool_pose()
        return math.dist(tool, self._scene.object_position(self._target)) < HELD_M

    def _pull_or_release(self) -> NDArray[np.float64]:
        missing = self._style.pull_to - self._scene.drawer_opening(self._target)
        tool, _ = self._scene.tool_pose()
        if missing <= 0.0:
            self._is_released = True
            return self._move(tool, OPEN)
        _, y, height = self._scene.object_position(self._target)
        # A little further than needed: a motion that only just gets there takes for ever.
        return self._move((tool[0] + missing + 0.01, y, height), CLOSE)

    def _grasp_anew(self) -> None:
        style = replace(self._style.grasp, num_detour_steps=0, num_stumbles=0)
        self._grasp = GraspPolicy(self._scene, self._target, style)

    def _rise(self) -> NDArray[np.float64]:
        tool, _ = self._scene.tool_pose()
        return self._move((tool[0], tool[1], self._style.rise_height), OPEN)

    def _move(self, goal: Vector, gripper: float) -> NDArray[np.float64]:
        return towards(self._scene, goal, gripper, self._style.pull_speed)
