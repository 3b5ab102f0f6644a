"""From an action to the tool pose it asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from parrot_data.worlds.tabletop.arm import Rotation
from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.objects import Quaternion, Vector

TRANSLATION_M = 0.05  # of a full action, reached within the step
ROTATION_RAD = 0.15
WORKSPACE_LOW = (0.20, -0.17, 0.018)
WORKSPACE_HIGH = (0.40, 0.17, 0.18)
BORDER_SLACK_M = 0.001  # a tool at rest on the border asks for nothing beyond it
MAX_TILT_COSINE = math.cos(math.radians(30.0))  # of the gripper from straight down


def leaves_workspace(position: Vector, action: Sequence[float]) -> bool:
    """Whether an action asks for a position beyond the box, so that `moved_pose` holds it back.

    Args:
        position: of the tool, m.
        action: its first 3 numbers in [-1, 1] are read.
    """
    return any(
        not low - BORDER_SLACK_M <= at + TRANSLATION_M * move <= high + BORDER_SLACK_M
        for at, move, low, high in zip(
            position, action[:3], WORKSPACE_LOW, WORKSPACE_HIGH, strict=True
        )
    )


def moved_pose(
    position: Vector, quaternion: Quaternion, action: Sequence[float]
) -> tuple[Vector, Rotation]:
    """The pose an action asks for, seen from where the tool is.

    The pose is relative to the tool's present pose, not to the one last asked for, so that what
    the next step does can be read off the image. It stays in a box over the table, and the
    gripper within 30 degrees of pointing down: a rotation that would leave that cone is ignored.

    Args:
        position: of the tool, m.
        quaternion: (x, y, z, w) of the tool.
        action: 7 numbers in [-1, 1].

    Returns:
        Position in m and rotation.
    """
    x, y, z = (
        min(high, max(low, at + TRANSLATION_M * move))
        for at, move, low, high in zip(
            position, action[:3], WORKSPACE_LOW, WORKSPACE_HIGH, strict=True
        )
    )
    vector = [ROTATION_RAD * turn for turn in action[3:6]]
    angle = math.hypot(*vector)
    axis = [component / max(angle, 1e-9) for component in vector]
    turn = bullet.getQuaternionFromAxisAngle(axis, angle)
    _, turned = bullet.multiplyTransforms((0, 0, 0), turn, (0, 0, 0), quaternion)
    rotation: Rotation = bullet.getMatrixFromQuaternion(turned)
    if -rotation[6] < MAX_TILT_COSINE:  # the hand points along the matrix's first column
        rotation = bullet.getMatrixFromQuaternion(quaternion)
    return (x, y, z), rotation
