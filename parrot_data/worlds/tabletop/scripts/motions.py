"""Feedback motions the scripts are made of: towards a point, upright, gripper open or closed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.motion import ROTATION_RAD, TRANSLATION_M
from parrot_data.worlds.tabletop.objects import Quaternion
from parrot_data.worlds.tabletop.scene import Scene

OPEN, CLOSE = 0.8, -0.8  # gripper commands, clear of the threshold under noise
UPRIGHT_GAIN, MAX_TURN = 0.5, 0.5


def towards(
    scene: Scene, goal: Sequence[float], gripper: float, speed: float
) -> NDArray[np.float64]:
    """Action (7,) that moves the tool towards a point and turns the gripper upright.

    Args:
        scene: where the tool is read from.
        goal: (x, y, z) in m.
        gripper: OPEN or CLOSE.
        speed: largest translation action, in (0, 1]; the direction is kept.
    """
    position, quaternion = scene.tool_pose()
    step = [(to - at) / TRANSLATION_M for to, at in zip(goal, position, strict=True)]
    slower = min(1.0, speed / max(*map(abs, step), 1e-9))
    return np.array([*(slower * s for s in step), *_upright(quaternion), gripper])


def _upright(quaternion: Quaternion) -> list[float]:
    """Rotation action of 3 that takes the gripper back to pointing straight down."""
    xx, xy, _, yx, _, yz, _, zy, zz = bullet.getMatrixFromQuaternion(quaternion)
    # For small angles the antisymmetric part of a rotation is its rotation vector: here of the
    # rotation from rows x, y, z to the rows (0, 0, 1), (0, 1, 0), (-1, 0, 0) of POINTING_DOWN.
    vector = (-0.5 * (yx + zy), 0.5 * (zz + xx), 0.5 * (xy - yz))
    gain = UPRIGHT_GAIN / ROTATION_RAD
    return [min(MAX_TURN, max(-MAX_TURN, gain * v)) for v in vector]
