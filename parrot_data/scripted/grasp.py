"""The scripted grasp: over the target, down, close, lift; try again when it slipped."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot_data.envs.arm import PAD_GAP_OFFSET
from parrot_data.envs.motion import WORKSPACE_LOW
from parrot_data.envs.scene import Scene
from parrot_data.scripted.motions import CLOSE, OPEN, towards

ALIGNED_M = 0.012  # sideways error at which the descent begins
LOWERED_M = 0.012  # height error at which the fingers close
NUM_CLOSE_STEPS = 2
LIFT_SPEED = 0.8
FINGER_REACH_M = 0.045  # the hand must not press on what the fingers are to hold


@dataclass(frozen=True)
class GraspStyle:
    """What varies from one scripted grasp to the next.

    Attributes:
        speed: largest translation action on the way to the target.
        approach_height: of the tool over the target before the descent, m.
        grasp_offset: of the tool from the target's center when the fingers close, m.
        lift_height: of the tool over the table at the end, m.
        via: (3,) point to visit first, m.
        num_via_steps: steps spent on the way there.
    """

    speed: float
    approach_height: float
    grasp_offset: float
    lift_height: float
    via: NDArray[np.float64]
    num_via_steps: int


# Visited first, so that the way to an object starts anywhere: a prior that has only seen the way
# from home does not know how to correct an approach that went astray.
VIA_LOW, VIA_HIGH = np.array([0.23, -0.12, 0.06]), np.array([0.37, 0.12, 0.15])


def draw_grasp_style(rng: np.random.Generator, min_speed: float, max_via_steps: int) -> GraspStyle:
    """Draw the variation of one episode, with a detour of at most `max_via_steps`."""
    return GraspStyle(
        speed=rng.uniform(min_speed, 0.75),
        approach_height=rng.uniform(0.045, 0.075),
        grasp_offset=rng.uniform(-0.006, 0.006),
        lift_height=rng.uniform(0.10, 0.14),
        via=rng.uniform(VIA_LOW, VIA_HIGH),
        num_via_steps=int(rng.integers(max_via_steps + 1)),
    )


PLAIN_GRASP = GraspStyle(
    speed=0.8,
    approach_height=0.06,
    grasp_offset=0.0,
    lift_height=0.12,
    via=np.zeros(3),
    num_via_steps=0,
)


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
        self._num_via_steps = style.num_via_steps

    def action(self) -> NDArray[np.float64]:
        """The next action (7,), before noise."""
        if self._num_via_steps:
            self._num_via_steps -= 1
            return self._move(self._style.via, OPEN)
        if self._num_close_steps:
            return self._close_or_lift()
        return self._approach_or_descend()

    def _approach_or_descend(self) -> NDArray[np.float64]:
        target = self._scene.object_position(self._target)
        tool, _ = self._scene.arm.tool_pose()
        sideways = float(np.linalg.norm(tool[:2] - target[:2]))
        if not self._is_descending and sideways < ALIGNED_M:
            self._is_descending = True
        if self._is_descending and sideways > 3 * ALIGNED_M:
            self._is_descending = False  # the object was pushed away: rise and align anew
        height = max(target[2] + self._style.grasp_offset, WORKSPACE_LOW[2])
        if self._is_descending and tool[2] < height + LOWERED_M and sideways < ALIGNED_M:
            self._num_close_steps = 1
            return self._move(np.array([*target[:2], height]), CLOSE)
        if not self._is_descending:
            height = target[2] + self._style.approach_height
        return self._move(np.array([*target[:2], height]), OPEN)

    def _close_or_lift(self) -> NDArray[np.float64]:
        tool, _ = self._scene.arm.tool_pose()
        if self._num_close_steps < NUM_CLOSE_STEPS:
            self._num_close_steps += 1
            return self._move(tool, CLOSE)
        if self._has_slipped():
            self._num_close_steps, self._is_descending = 0, False
            return towards(self._scene, np.array([*tool[:2], tool[2] + 0.03]), OPEN, LIFT_SPEED)
        goal = np.array([*tool[:2], self._style.lift_height])
        return towards(self._scene, goal, CLOSE, LIFT_SPEED)

    def _has_slipped(self) -> bool:
        tool, _ = self._scene.arm.tool_pose()
        offset = self._scene.object_position(self._target) - tool
        return bool(np.linalg.norm(offset) > FINGER_REACH_M + PAD_GAP_OFFSET)

    def _move(self, goal: NDArray[np.float64], gripper: float) -> NDArray[np.float64]:
        return towards(self._scene, goal, gripper, self._style.speed)
