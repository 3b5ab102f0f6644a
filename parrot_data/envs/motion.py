"""From an action to the tool pose it asks for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parrot_data.envs.bullet import bullet

TRANSLATION_M = 0.05  # of a full action, reached within the step
ROTATION_RAD = 0.15
WORKSPACE_LOW = np.array([0.20, -0.17, 0.018])
WORKSPACE_HIGH = np.array([0.40, 0.17, 0.18])
MAX_TILT_COSINE = np.cos(np.deg2rad(30.0))  # of the gripper from straight down


def moved_pose(
    position: NDArray[np.float64], quaternion: tuple[float, ...], action: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The pose an action asks for, seen from where the tool is.

    The pose is relative to the tool's present pose, not to the one last asked for, so that what
    the next step does can be read off the picture. It stays in a box over the table, and the
    gripper within 30 degrees of pointing down: a rotation that would leave that cone is ignored.

    Args:
        position: (3,) of the tool, m.
        quaternion: (x, y, z, w) of the tool.
        action: (7,) in [-1, 1].

    Returns:
        Position (3,) in m and rotation matrix (3, 3).
    """
    target = np.clip(position + TRANSLATION_M * action[:3], WORKSPACE_LOW, WORKSPACE_HIGH)
    vector = ROTATION_RAD * action[3:6]
    angle = float(np.sqrt(vector @ vector))
    axis = (vector / max(angle, 1e-9)).tolist()
    turn = bullet.getQuaternionFromAxisAngle(axis, angle)
    _, turned = bullet.multiplyTransforms((0, 0, 0), turn, (0, 0, 0), quaternion)
    rotation = np.array(bullet.getMatrixFromQuaternion(turned)).reshape(3, 3)
    if -rotation[2, 0] < MAX_TILT_COSINE:
        rotation = np.array(bullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
    return target, rotation
