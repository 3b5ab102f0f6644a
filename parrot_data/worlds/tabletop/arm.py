"""The WidowX-250-like arm: its closed-form inverse kinematics and its motors."""

from __future__ import annotations

import math
from pathlib import Path

from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.objects import Quaternion, Vector

# A rotation matrix (3, 3), row by row, as bullet gives it. Poses are plain floats throughout:
# numpy takes ten times as long for three of them.
Rotation = tuple[float, float, float, float, float, float, float, float, float]

URDF = Path(__file__).parent / "assets" / "widowx250.urdf"

# Kinematics of assets/widowx250.urdf, in m.
SHOULDER_HEIGHT = 0.0716 + 0.03865
ELBOW_FORWARD, ELBOW_UP = 0.04975, 0.25
UPPER_ARM = math.hypot(ELBOW_FORWARD, ELBOW_UP)
UPPER_ARM_LEAN = math.atan2(ELBOW_FORWARD, ELBOW_UP)
FOREARM = 0.175 + 0.075
WRIST_TO_TOOL = 0.065 + 0.111
JOINT_LOWER = (-3.14159, -1.88496, -1.60570, -3.14159, -2.14675, -3.14159)
JOINT_UPPER = (3.14159, 1.98968, 2.14675, 3.14159, 1.74533, 3.14159)

FINGER_CLOSED, FINGER_OPEN = 0.015, 0.037
PAD_GAP_OFFSET = 0.008
NUM_ARM_JOINTS = 6
LEFT_FINGER, RIGHT_FINGER, TOOL = 6, 7, 8  # link indices

# Gripper pointing straight down, fingers opening along the table's y axis.
POINTING_DOWN: Rotation = (0.0, 0.0, 1.0, 0.0, 1.0, 0.0, -1.0, 0.0, 0.0)
POSITION_GAIN = 0.35  # of the error a substep: 10 substeps leave 1 %
FINGER_SPEED_M_S = 0.35
ARM_FORCE, FINGER_FORCE = 60.0, 12.0  # N m, N


def inverse_kinematics(position: Vector, rotation: Rotation) -> list[float]:
    """Joint angles that bring the tool to a pose, elbow up, clipped to the joint limits.

    The last three axes meet in one point, so the wrist decouples: waist, shoulder and elbow carry
    the wrist's centre (a planar two-link arm), the rest turns the hand. A point out of reach is
    approached as far as the arm goes.

    Args:
        position: of the tool in the base frame, m.
        rotation: of the tool in the base frame.

    Returns:
        Six angles in rad, in URDF order.
    """
    (xx, yx, zx), (xy, yy, zy), (xz, yz, zz) = rotation[0::3], rotation[1::3], rotation[2::3]
    x, y, z = (p - WRIST_TO_TOOL * along for p, along in zip(position, (xx, yx, zx), strict=True))
    waist = math.atan2(y, x)
    reach, height = math.hypot(x, y), z - SHOULDER_HEIGHT
    distance = math.hypot(reach, height)
    cosine = (UPPER_ARM**2 + distance**2 - FOREARM**2) / (2 * UPPER_ARM * max(distance, 1e-6))
    lean = math.atan2(reach, height) - math.acos(min(1.0, max(-1.0, cosine)))
    pitch = math.atan2(UPPER_ARM * math.cos(lean) - height, reach - UPPER_ARM * math.sin(lean))
    shoulder = lean - UPPER_ARM_LEAN
    c1, s1, cp, sp = math.cos(waist), math.sin(waist), math.cos(pitch), math.sin(pitch)
    # The hand as the forearm sees it: products of the forearm's axes with the hand's.
    out_x, out_y, out_z = c1 * cp, s1 * cp, -sp
    bend = math.acos(min(1.0, max(-1.0, out_x * xx + out_y * yx + out_z * zx)))
    roll = math.atan2(c1 * yx - s1 * xx, -(c1 * sp * xx + s1 * sp * yx + cp * zx))
    turn = math.atan2(out_x * xy + out_y * yy + out_z * zy, out_x * xz + out_y * yz + out_z * zz)
    angles = (waist, shoulder, shoulder - pitch, roll, -bend, turn)
    return [
        min(high, max(low, angle))
        for angle, low, high in zip(angles, JOINT_LOWER, JOINT_UPPER, strict=True)
    ]


class Arm:
    """One arm in one physics client: commanded in tool poses, read in tool poses."""

    def __init__(self, client: int) -> None:
        """Load the arm with its base at the origin of the table's top."""
        self._client = client
        self.body: int = bullet.loadURDF(str(URDF), useFixedBase=True, physicsClientId=client)
        self._joints = [*range(NUM_ARM_JOINTS), LEFT_FINGER, RIGHT_FINGER]
        # The fingers mirror each other as in the real gripper, so that a grasp centres the object.
        gear = bullet.createConstraint(
            self.body, LEFT_FINGER, self.body, RIGHT_FINGER, bullet.JOINT_GEAR,
            [0, 1, 0], [0, 0, 0], [0, 0, 0], physicsClientId=client,
        )  # fmt: skip
        bullet.changeConstraint(gear, gearRatio=-1, erp=0.5, maxForce=100, physicsClientId=client)

    def place_at(self, position: Vector, finger: float) -> None:
        """Teleport to a tool position, pointing down, at rest; for building the saved state."""
        angles = [*inverse_kinematics(position, POINTING_DOWN), finger, finger]
        for joint, angle in zip(self._joints, angles, strict=True):
            bullet.resetJointState(self.body, joint, angle, 0.0, physicsClientId=self._client)
        self._drive(angles)

    def command(self, position: Vector, rotation: Rotation, finger: float) -> None:
        """Set the motors' targets: a tool pose and a finger position (m from the hand's centre)."""
        self._drive([*inverse_kinematics(position, rotation), finger, finger])

    def _drive(self, targets: list[float]) -> None:
        count = NUM_ARM_JOINTS
        bullet.setJointMotorControlArray(
            self.body, self._joints[:count], bullet.POSITION_CONTROL, targets[:count],
            positionGains=[POSITION_GAIN] * count, forces=[ARM_FORCE] * count,
            physicsClientId=self._client,
        )  # fmt: skip
        for joint, target in zip(self._joints[count:], targets[count:], strict=True):
            bullet.setJointMotorControl2(
                self.body, joint, bullet.POSITION_CONTROL, target, positionGain=POSITION_GAIN,
                force=FINGER_FORCE, maxVelocity=FINGER_SPEED_M_S, physicsClientId=self._client,
            )  # fmt: skip

    def tool_pose(self) -> tuple[Vector, Quaternion]:
        """Position in m and quaternion (x, y, z, w) of the point between the finger pads."""
        state = bullet.getLinkState(self.body, TOOL, physicsClientId=self._client)
        return state[4], state[5]

    def finger_position(self) -> float:
        """Mean distance of the two fingers from the hand's centre, m."""
        left, right = bullet.getJointStates(
            self.body, [LEFT_FINGER, RIGHT_FINGER], physicsClientId=self._client
        )
        return float(left[0] + right[0]) / 2

    def is_at_joint_limit(self, slack_rad: float) -> bool:
        """Whether a joint of the arm, fingers apart, is within `slack_rad` of a limit."""
        states = bullet.getJointStates(
            self.body, self._joints[:NUM_ARM_JOINTS], physicsClientId=self._client
        )
        return any(
            not low + slack_rad < state[0] < high - slack_rad
            for state, low, high in zip(states, JOINT_LOWER, JOINT_UPPER, strict=True)
        )

    def opening(self) -> float:
        """Gap between the finger pads, m: 0.022 closed, 0.066 open."""
        return 2 * self.finger_position() - PAD_GAP_OFFSET
