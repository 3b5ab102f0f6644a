"""The scripted grasp: over the target, down, close, lift; try again when it slipped."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot_data.worlds.tabletop.arm import PAD_GAP_OFFSET
from parrot_data.worlds.tabletop.motion import WORKSPACE_HIGH, WORKSPACE_LOW
from parrot_data.worlds.tabletop.objects import Vector
from parrot_data.worlds.tabletop.scene import Scene
from parrot_data.worlds.tabletop.scripts.motions import CLOSE, OPEN, towards

ALIGNED_M = 0.012  # sideways error at which the descent begins
LOWERED_M = 0.012  # height error at which the fingers close
STUMBLE_HEIGHT_M = 0.04  # over the height of the grasp
ARRIVED_M = 0.03  # from the end of the detour
NUM_CLOSE_STEPS = 2
BRISK_SPEED = 0.8
FINGER_REACH_M = 0.045  # the hand must not press on what the fingers are to hold

Places = dict[str, tuple[float, float]]  # (x, y) of every object, m


@dataclass(frozen=True)
class GraspStyle:
    """What varies from one scripted grasp to the next.

    Attributes:
        speed: largest translation action on the way to the target.
        approach_height: of the tool over the target before the descent, m.
        grasp_offset: of the tool from the target's center when the fingers close, m.
        lift_height: of the tool over the table at the end, m.
        detours: points to visit first, in turn, m; the target is the nearest object to the last.
        num_detour_steps: steps at most on the way to each.
        stumble: (2,) sideways action on the way down, which must then be corrected.
        num_stumbles: steps of it.
    """

    speed: float
    approach_height: float
    grasp_offset: float
    lift_height: float
    detours: tuple[Vector, ...]
    num_detour_steps: int
    stumble: NDArray[np.float64]
    num_stumbles: int


PLAIN_GRASP = GraspStyle(
    speed=0.8,
    approach_height=0.06,
    grasp_offset=0.0,
    lift_height=0.12,
    detours=(),
    num_detour_steps=0,
    stumble=np.zeros(2),
    num_stumbles=0,
)

# The way to an object starts anywhere, high or low: a prior that has only seen the straight way
# from home does not know how to correct an approach that went astray.
DETOUR_X, DETOUR_Y, MAX_DETOUR_HEIGHT = (0.23, 0.37), (-0.12, 0.12), 0.15
MAX_DRAWS = 100
MAX_CROSSING_STEPS = 6


@dataclass(frozen=True)
class GraspVariety:
    """How much grasps vary: as much as the steps of an episode leave time for.

    Attributes:
        min_speed: least `GraspStyle.speed`.
        max_detour_steps: most steps on a detour.
        min_detour_height: least height of a detour's end, m.
        max_stumbles: most stumbling steps.
    """

    min_speed: float
    max_detour_steps: int
    min_detour_height: float
    max_stumbles: int


def draw_grasp_style(
    scene: Scene, target: str, variety: GraspVariety, rng: np.random.Generator
) -> GraspStyle:
    """Draw the variation of one episode.

    The detour ends where the target is the nearest object. At every moment afterwards the nearest
    object is then the one to grasp, and an image tells what to do; were targets drawn without
    regard to distance, the mean over them would lead between the objects.
    """
    angle = rng.uniform(-math.pi, math.pi)
    num_detour_steps = int(rng.integers(variety.max_detour_steps + 1))
    places = {name: scene.object_position(name)[:2] for name in scene.objects}
    if not _is_nearest(places, target, scene.tool_pose()[0]):
        num_detour_steps = variety.max_detour_steps
    return GraspStyle(
        speed=rng.uniform(variety.min_speed, 0.75),
        approach_height=rng.uniform(0.045, 0.075),
        grasp_offset=rng.uniform(-0.006, 0.006),
        lift_height=rng.uniform(0.10, 0.14),
        detours=(_draw_detour(places, target, variety.min_detour_height, rng),),
        num_detour_steps=num_detour_steps,
        stumble=rng.uniform(0.3, 0.9) * np.array([math.cos(angle), math.sin(angle)]),
        num_stumbles=int(rng.integers(variety.max_stumbles + 1)),
    )


def over_obstacle(style: GraspStyle, scene: Scene, target: str) -> GraspStyle:
    """The same grasp, that first rises where the tool is and then crosses at that height."""
    (x, y, _), _ = scene.tool_pose()
    place = scene.object_position(target)[:2]
    high = WORKSPACE_HIGH[2]
    return dataclasses.replace(
        style, detours=((x, y, high), (*place, high)), num_detour_steps=MAX_CROSSING_STEPS
    )


def _draw_detour(
    places: Places, target: str, min_height: float, rng: np.random.Generator
) -> Vector:
    for _ in range(MAX_DRAWS):
        x, y = rng.uniform(*DETOUR_X), rng.uniform(*DETOUR_Y)
        point = (x, y, rng.uniform(min_height, MAX_DETOUR_HEIGHT))
        if _is_nearest(places, target, point):
            return point
    return (*places[target], MAX_DETOUR_HEIGHT)


def _is_nearest(places: Places, target: str, point: Vector) -> bool:
    """Whether no object lies nearer to a point, seen from above, than the target."""
    distances = {name: math.dist(place, point[:2]) for name, place in places.items()}
    return min(distances, key=distances.__getitem__) == target


class GraspPolicy:
    """Feedback on the privileged state of a scene; one object an episode.

    Every decision is read off the scene, not off a clock, so that a noisy or failed motion is
    corrected: demonstrations then show how to recover.
    """

    def __init__(self, scene: Scene, target: str, style: GraspStyle) -> None:
        """Prepare to grasp `target` in the scene as it was just reset."""
        self._scene, self._target, self._style = scene, target, style
        self._num_close_steps = 0
        self._is_descending = False
        self._detours = list(style.detours) if style.num_detour_steps else []
        self._num_detour_steps, self._num_stumbles = style.num_detour_steps, style.num_stumbles

    def action(self) -> NDArray[np.float64]:
        """The next action (7,), before noise."""
        if self._detours:
            return self._make_detour()
        if self._num_close_steps:
            return self._close_or_lift()
        return self._approach_or_descend()

    def _make_detour(self) -> NDArray[np.float64]:
        tool, _ = self._scene.tool_pose()
        goal = self._detours[0]
        self._num_detour_steps -= 1
        if math.dist(goal, tool) < ARRIVED_M or not self._num_detour_steps:
            self._detours.pop(0)
            self._num_detour_steps = self._style.num_detour_steps
        return towards(self._scene, goal, OPEN, BRISK_SPEED)

    def _approach_or_descend(self) -> NDArray[np.float64]:
        x, y, center = self._scene.object_position(self._target)
        tool, _ = self._scene.tool_pose()
        sideways = math.hypot(tool[0] - x, tool[1] - y)
        if not self._is_descending and sideways < ALIGNED_M:
            self._is_descending = True
        if self._is_descending and sideways > 3 * ALIGNED_M:
            self._is_descending = False  # the object was pushed away: rise and align anew
        height = max(center + self._style.grasp_offset, WORKSPACE_LOW[2])
        if self._is_descending and tool[2] < height + LOWERED_M and sideways < ALIGNED_M:
            self._num_close_steps = 1
            return self._move((x, y, height), CLOSE)
        if self._is_descending and self._num_stumbles and tool[2] < height + STUMBLE_HEIGHT_M:
            return self._stumble()
        if not self._is_descending:
            height = center + self._style.approach_height
        return self._move((x, y, height), OPEN)

    def _stumble(self) -> NDArray[np.float64]:
        tool, _ = self._scene.tool_pose()
        self._num_stumbles -= 1
        action = self._move(tool, OPEN)
        action[:2] = self._style.stumble
        return action

    def _close_or_lift(self) -> NDArray[np.float64]:
        tool, _ = self._scene.tool_pose()
        if self._num_close_steps < NUM_CLOSE_STEPS:
            self._num_close_steps += 1
            return self._move(tool, CLOSE)
        if self._has_slipped():
            self._num_close_steps, self._is_descending = 0, False
            return towards(self._scene, (*tool[:2], tool[2] + 0.03), OPEN, BRISK_SPEED)
        return towards(self._scene, (*tool[:2], self._style.lift_height), CLOSE, BRISK_SPEED)

    def _has_slipped(self) -> bool:
        tool, _ = self._scene.tool_pose()
        distance = math.dist(self._scene.object_position(self._target), tool)
        return distance > FINGER_REACH_M + PAD_GAP_OFFSET

    def _move(self, goal: Vector, gripper: float) -> NDArray[np.float64]:
        return towards(self._scene, goal, gripper, self._style.speed)
