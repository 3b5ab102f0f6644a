"""Feedback motions the scripts are made of: towards a point, upright, gripper open or closed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parrot_data.envs.arm import POINTING_DOWN
from parrot_data.envs.bullet import bullet
from parrot_data.envs.motion import ROTATION_RAD, TRANSLATION_M
from parrot_data.envs.scene import Scene

OPEN, CLOSE = 0.8, -0.8  # gripper commands, clear of the threshold under noise
UPRIGHT_GAIN, MAX_TURN = 0.5, 0.5


def towards(
    scene: Scene, goal: NDArray[np.float64], gripper: float, speed: float
) -> NDArray[np.float64]:
    """Action (7,) that moves the tool towards a point and turns the gripper upright.

    Args:
        scene: where the tool is read from.
        goal: (3,) in m.
        gripper: OPEN or CLOSE.
        speed: largest translation action, in (0, 1]; the direction is kept.
    """
    position, quaternion = scene.arm.tool_pose()
    step = (goal - position) / TRANSLATION_M
    step *= min(1.0, speed / max(float(np.max(np.abs(step))), 1e-9))
    return np.concatenate([step, _upright(quaternion), [gripper]])


def _upright(quaternion: tuple[float, ...]) -> NDArray[np.float64]:
    """Rotation action (3,) that takes the gripper back to pointing straight down."""
    rotation = np.array(bullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
    error = POINTING_DOWN @ rotation.T
    # For small angles the antisymmetric part of a rotation is its rotation vector.
    vector = 0.5 * np.array(
        [error[2, 1] - error[1, 2], error[0, 2] - error[2, 0], error[1, 0] - error[0, 1]]
    )
    return np.clip(UPRIGHT_GAIN * vector / ROTATION_RAD, -MAX_TURN, MAX_TURN)
