"""The arm reaches the poses it is asked for."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from parrot_data.worlds.tabletop.arm import (
    JOINT_LOWER,
    JOINT_UPPER,
    POINTING_DOWN,
    inverse_kinematics,
)
from parrot_data.worlds.tabletop.objects import library
from parrot_data.worlds.tabletop.scene import Scene


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene(library())
    yield scene
    scene.close()


def rotation_about(vector: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rodrigues' formula."""
    angle = float(np.linalg.norm(vector))
    x, y, z = vector / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


def test_forward_undoes_inverse_kinematics(scene: Scene) -> None:
    import pybullet

    rng = np.random.default_rng(0)
    for _ in range(200):
        x, y, z = rng.uniform([0.20, -0.17, 0.02], [0.40, 0.17, 0.18]).tolist()
        rotation = rotation_about(rng.normal(0.0, 0.05, 3)) @ np.reshape(POINTING_DOWN, (3, 3))
        flat = tuple(rotation.ravel().tolist())
        for joint, angle in enumerate(inverse_kinematics((x, y, z), flat)):  # type: ignore[arg-type]
            pybullet.resetJointState(scene.arm.body, joint, angle, physicsClientId=scene.client)
        reached, quaternion = scene.arm.tool_pose()
        matrix = np.array(pybullet.getMatrixFromQuaternion(quaternion)).reshape(3, 3)
        np.testing.assert_allclose(reached, (x, y, z), atol=1e-6)
        np.testing.assert_allclose(matrix, rotation, atol=1e-6)


def test_a_point_out_of_reach_is_approached_within_the_joint_limits() -> None:
    angles = inverse_kinematics((2.0, 0.0, 0.3), POINTING_DOWN)
    assert np.isfinite(angles).all()


def test_a_command_is_carried_out_within_one_step(scene: Scene) -> None:
    (x, y, z), _ = scene.arm.tool_pose()
    goal = (x + 0.02, y - 0.03, z - 0.02)
    scene.arm.command(goal, POINTING_DOWN, 0.037)
    scene.step()
    assert math.dist(scene.arm.tool_pose()[0], goal) < 0.004


@pytest.mark.parametrize("joint", range(6))
def test_a_joint_is_at_its_limit_within_the_slack(scene: Scene, joint: int) -> None:
    import pybullet

    home = [
        state[0]
        for state in pybullet.getJointStates(
            scene.arm.body, list(range(6)), physicsClientId=scene.client
        )
    ]
    assert not scene.arm.is_at_joint_limit(0.02)
    for limits, sign in ((JOINT_LOWER, 1), (JOINT_UPPER, -1)):
        for distance, is_at_limit in ((0.0, True), (0.019, True), (0.021, False)):
            angle = limits[joint] + sign * distance
            pybullet.resetJointState(scene.arm.body, joint, angle, physicsClientId=scene.client)
            assert scene.arm.is_at_joint_limit(0.02) == is_at_limit
    pybullet.resetJointState(scene.arm.body, joint, home[joint], physicsClientId=scene.client)
    assert not scene.arm.is_at_joint_limit(0.02)
