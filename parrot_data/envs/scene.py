"""One table, one arm and one camera in one physics client."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from parrot_data.envs.arm import FINGER_OPEN, LEFT_FINGER, RIGHT_FINGER, Arm
from parrot_data.envs.bullet import bullet
from parrot_data.envs.containers import CONTAINERS
from parrot_data.envs.layout import Layout
from parrot_data.envs.objects import OBJECT_MASS_KG, ObjectSpec
from parrot_data.envs.tasks import Task

TIMESTEP_S = 1 / 240
SUBSTEPS = 10
SOLVER_ITERATIONS = 20
HOME = np.array([0.30, 0.0, 0.13])
TABLE_HALF_M, TABLE_CENTER = (0.6, 0.6, 0.05), (0.3, 0.0, -0.05)
TABLE_COLOR = (0.80, 0.78, 0.74, 1.0)
CONTACT_SLACK_M = 0.001

# The authors' framing: 0.29 m from the middle of the workspace, 40 degrees down, facing the arm.
CAMERA_TARGET = (0.30, 0.0, 0.02)
CAMERA_DISTANCE_M, CAMERA_YAW, CAMERA_PITCH, CAMERA_FIELD_OF_VIEW = 0.29, 90.0, -40.0, 60.0
VIEW = bullet.computeViewMatrixFromYawPitchRoll(
    CAMERA_TARGET, CAMERA_DISTANCE_M, CAMERA_YAW, CAMERA_PITCH, 0, 2
)
PROJECTION = bullet.computeProjectionMatrixFOV(CAMERA_FIELD_OF_VIEW, 1.0, 0.05, 1.5)
NOTHING_DEPTH = 0.9999  # depth buffer where no body is; the farthest part of the arm is at 0.96


class Scene:
    """Owns a physics client; everything in it is reached by the names the task gave.

    What never changes (table, arm) is built once and restored from a saved state. The bodies of an
    episode are made from shapes the client keeps, which costs a quarter of a millisecond each; the
    state they start in is written out in full, so nothing of an earlier episode can survive.
    """

    def __init__(self, specs: Mapping[str, ObjectSpec]) -> None:
        """Connect, build the table and the arm, and save the state every episode starts from.

        Args:
            specs: the objects that tasks may name, by id.
        """
        self.specs = specs
        self.client: int = bullet.connect(bullet.DIRECT)
        # The default broadphase keeps a tree that remembers earlier episodes and that no saved
        # state holds: one episode in a thousand, while it squeezed an object, told. The simple one
        # compares boxes as they are, and with a dozen of them it is the faster one too.
        bullet.resetSimulation(bullet.RESET_USE_SIMPLE_BROADPHASE, physicsClientId=self.client)
        bullet.setTimeStep(TIMESTEP_S, physicsClientId=self.client)
        bullet.setGravity(0, 0, -9.81, physicsClientId=self.client)
        bullet.setPhysicsEngineParameter(
            numSolverIterations=SOLVER_ITERATIONS, solverResidualThreshold=1e-4,
            deterministicOverlappingPairs=1, physicsClientId=self.client,
        )  # fmt: skip
        self._build_table()
        self.arm = Arm(self.client)
        self.arm.place_at(HOME, FINGER_OPEN)
        self._start: int = bullet.saveState(physicsClientId=self.client)
        self._shapes: dict[str, tuple[int, int]] = {}
        self._bodies: list[int] = []
        self.objects: dict[str, int] = {}  # bodies by id
        self._touching: dict[str, frozenset[int]] = {}  # links by id, since the last substep
        self._backgrounds: dict[int, NDArray[np.uint8]] = {}  # by size

    def close(self) -> None:
        """Disconnect; the scene is of no use afterwards."""
        if self.client >= 0:
            bullet.disconnect(self.client)
            self.client = -1

    def reset(self, task: Task, layout: Layout) -> None:
        """Put the arm home and lay the task's objects and container out, all at rest."""
        # Last made, first removed: the client's arrays are then as they were at the saved state.
        for body in reversed(self._bodies):
            bullet.removeBody(body, physicsClientId=self.client)
        bullet.restoreState(self._start, physicsClientId=self.client)
        self.arm.place_at(HOME, FINGER_OPEN)
        self._bodies = []
        self._touching = {}
        if task.container and layout.container_position is not None:
            self._bodies.append(self._make_container(task.container, layout.container_position))
        self.objects = {}
        for name, (x, y), yaw in zip(task.objects, layout.positions, layout.yaws, strict=True):
            self.objects[name] = self._make_object(self.specs[name], (x, y), float(yaw))
            self._bodies.append(self.objects[name])

    def step(self) -> None:
        """Advance the simulation by one action's time, SUBSTEPS * TIMESTEP_S."""
        self._touching = {}
        for _ in range(SUBSTEPS):
            bullet.stepSimulation(physicsClientId=self.client)

    def render(self, size: int) -> NDArray[np.uint8]:
        """RGB picture, uint8 (size, size, 3).

        The table fills the picture and never changes, and shading its pixels costs more than all
        the rest: it is drawn once a size, and each picture is laid over it. Nothing is ever behind
        the table's top, so this is what drawing it every time would give.
        """
        if size not in self._backgrounds:
            self._backgrounds[size] = _picture_of_empty_table(size)
        pixels, depth = _camera_image(self.client, size)
        picture = self._backgrounds[size].copy()
        np.copyto(picture, pixels, where=depth[:, :, None] < NOTHING_DEPTH)
        return picture

    def object_position(self, name: str) -> NDArray[np.float64]:
        """Position (3,) of an object's center, m."""
        position, _ = bullet.getBasePositionAndOrientation(
            self.objects[name], physicsClientId=self.client
        )
        return np.array(position)

    def object_speed(self, name: str) -> float:
        """Linear speed of an object, m/s."""
        velocity, _ = bullet.getBaseVelocity(self.objects[name], physicsClientId=self.client)
        return float(np.linalg.norm(velocity))

    def touching_links(self, name: str) -> frozenset[int]:
        """Links of the arm in contact with an object after the last substep."""
        if name not in self._touching:  # asked for several times a step
            contacts = bullet.getContactPoints(
                self.arm.body, self.objects[name], physicsClientId=self.client
            )
            self._touching[name] = frozenset(c[3] for c in contacts if c[8] < CONTACT_SLACK_M)
        return self._touching[name]

    def is_grasped(self, name: str) -> bool:
        """Whether both fingers hold an object."""
        return {LEFT_FINGER, RIGHT_FINGER} <= self.touching_links(name)

    def _make_object(self, spec: ObjectSpec, xy: tuple[float, float], yaw: float) -> int:
        if spec.id not in self._shapes:
            scale = [spec.scale] * 3
            self._shapes[spec.id] = (
                bullet.createCollisionShape(
                    bullet.GEOM_MESH, fileName=spec.mesh, meshScale=scale,
                    physicsClientId=self.client,
                ),
                bullet.createVisualShape(
                    bullet.GEOM_MESH, fileName=spec.mesh, meshScale=scale, rgbaColor=spec.color,
                    physicsClientId=self.client,
                ),
            )  # fmt: skip
        collision, visual = self._shapes[spec.id]
        body: int = bullet.createMultiBody(
            OBJECT_MASS_KG, collision, visual, baseInertialFramePosition=spec.center,
            physicsClientId=self.client,
        )  # fmt: skip
        turn = bullet.getQuaternionFromEuler((0.0, 0.0, yaw))
        _, pose = bullet.multiplyTransforms((0, 0, 0), turn, (0, 0, 0), spec.rest_orientation)
        bullet.resetBasePositionAndOrientation(
            body, (*xy, spec.rest_height), pose, physicsClientId=self.client
        )
        bullet.changeDynamics(
            body, -1, lateralFriction=1.0, spinningFriction=0.005, rollingFriction=0.008,
            linearDamping=0.9, angularDamping=0.999, physicsClientId=self.client,
        )  # fmt: skip
        return body

    def _build_table(self) -> None:
        box = bullet.createCollisionShape(
            bullet.GEOM_BOX, halfExtents=TABLE_HALF_M, physicsClientId=self.client
        )
        # A body without a visual shape is drawn as it collides, so one out of sight: see render.
        speck = bullet.createVisualShape(
            bullet.GEOM_BOX, halfExtents=(0.001, 0.001, 0.001),
            visualFramePosition=(0.0, 0.0, -10.0), physicsClientId=self.client,
        )  # fmt: skip
        bullet.createMultiBody(0.0, box, speck, TABLE_CENTER, physicsClientId=self.client)

    def _make_container(self, name: str, xy: NDArray[np.float64]) -> int:
        spec = CONTAINERS[name]
        if name not in self._shapes:
            halves = [list(half) for half, _ in spec.boxes]
            centers = [list(center) for _, center in spec.boxes]
            kinds = [bullet.GEOM_BOX] * len(halves)
            self._shapes[name] = (
                bullet.createCollisionShapeArray(
                    kinds, halfExtents=halves, collisionFramePositions=centers,
                    physicsClientId=self.client,
                ),
                bullet.createVisualShapeArray(
                    kinds, halfExtents=halves, visualFramePositions=centers,
                    rgbaColors=[list(c) for c in spec.colors], physicsClientId=self.client,
                ),
            )  # fmt: skip
        collision, visual = self._shapes[name]
        body: int = bullet.createMultiBody(
            0.0, collision, visual, (float(xy[0]), float(xy[1]), 0.0), physicsClientId=self.client
        )
        return body


def _camera_image(client: int, size: int) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """RGB (size, size, 3) and depth buffer (size, size) of what a physics client shows."""
    _, _, pixels, depth, _ = bullet.getCameraImage(
        size, size, VIEW, PROJECTION, shadow=0, lightDirection=(0.4, 0.0, 1.0),
        renderer=bullet.ER_TINY_RENDERER, flags=bullet.ER_NO_SEGMENTATION_MASK,
        physicsClientId=client,
    )  # fmt: skip
    return pixels.reshape(size, size, 4)[:, :, :3], depth


def _picture_of_empty_table(size: int) -> NDArray[np.uint8]:
    """RGB picture (size, size, 3) of the table alone, from a client of its own."""
    client = bullet.connect(bullet.DIRECT)
    box = bullet.createVisualShape(
        bullet.GEOM_BOX, halfExtents=TABLE_HALF_M, rgbaColor=TABLE_COLOR, physicsClientId=client
    )
    bullet.createMultiBody(0.0, -1, box, TABLE_CENTER, physicsClientId=client)
    pixels, _ = _camera_image(client, size)
    bullet.disconnect(client)
    return np.ascontiguousarray(pixels)
