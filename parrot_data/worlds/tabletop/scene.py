"""One table, one arm and one camera in one physics client."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from parrot_data.worlds.tabletop.arm import FINGER_OPEN, LEFT_FINGER, RIGHT_FINGER, Arm
from parrot_data.worlds.tabletop.bodies import Bodies
from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.camera import Camera
from parrot_data.worlds.tabletop.drawer import (
    DRAWERS,
    SLIDE,
    Drawers,
    drawer_opening,
    knob_position,
)
from parrot_data.worlds.tabletop.layout import Layout
from parrot_data.worlds.tabletop.objects import ObjectSpec, Quaternion, Vector
from parrot_data.worlds.tabletop.table import add_solid_table
from parrot_data.worlds.tabletop.tasks import Task

TIMESTEP_S = 1 / 240
SUBSTEPS = 10
SOLVER_ITERATIONS = 20
HOME = (0.30, 0.0, 0.13)
CONTACT_SLACK_M = 0.001
BASE = -1  # bullet's index of a body's base, and the whole of an object


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
            numSolverIterations=SOLVER_ITERATIONS, solverResidualThreshold=1e-3,
            deterministicOverlappingPairs=1, physicsClientId=self.client,
        )  # fmt: skip
        self._table = add_solid_table(self.client)
        self.arm = Arm(self.client)
        self.arm.place_at(HOME, FINGER_OPEN)
        self._start: int = bullet.saveState(physicsClientId=self.client)
        self._make = Bodies(self.client)
        self._drawers = Drawers(self.client)
        self._bodies: list[int] = []
        self.objects: dict[str, int] = {}  # bodies by id
        self._forget()
        self._camera = Camera(self.client)

    def close(self) -> None:
        """Disconnect; the scene is of no use afterwards."""
        if self.client >= 0:
            bullet.disconnect(self.client)
            self.client = -1

    def reset(self, task: Task, layout: Layout) -> None:
        """Put the arm home and lay the task's objects and container out, all at rest."""
        # Last made, first removed: the client's arrays are then as they were at the saved state.
        for body in reversed(self._bodies):
            if bullet.getNumJoints(body, physicsClientId=self.client):  # only a drawer has any
                self._drawers.remove(body)
            else:
                bullet.removeBody(body, physicsClientId=self.client)
        # What the arm still touches is forgotten too: else the next contacts come in another order,
        # and a finger that meets two boxes of one body is pushed by one or the other first.
        self.arm.place_at(HOME, FINGER_OPEN)
        bullet.performCollisionDetection(physicsClientId=self.client)
        bullet.restoreState(self._start, physicsClientId=self.client)
        self.arm.place_at(HOME, FINGER_OPEN)
        self._bodies = []
        self._forget()
        if task.container and layout.container_position is not None:
            x, y = layout.container_position.tolist()
            self._bodies.append(self._make.add_container(task.container, (x, y)))
        if task.obstacle and layout.obstacle_position is not None:
            x, y = layout.obstacle_position.tolist()
            self._bodies.append(self._make.add_obstacle(task.obstacle, (x, y)))
        self.objects = {}
        for name, (x, y), yaw in zip(
            task.objects, layout.positions.tolist(), layout.yaws.tolist(), strict=True
        ):
            if name in DRAWERS:
                self.objects[name] = self._drawers.add(name, (x, y))
            else:
                self.objects[name] = self._make.add_object(self.specs[name], (x, y), yaw)
            self._bodies.append(self.objects[name])

    def step(self) -> None:
        """Advance the simulation by one action's time, SUBSTEPS * TIMESTEP_S."""
        self._forget()
        for _ in range(SUBSTEPS):
            bullet.stepSimulation(physicsClientId=self.client)

    def _forget(self) -> None:
        """Drop what was read of the last state: most of it is asked for several times a step."""
        self._tool: tuple[Vector, Quaternion] | None = None
        self._gripper: tuple[float, ...] | None = None
        self._positions: dict[str, Vector] = {}
        self._touching: dict[str, frozenset[int]] = {}

    def render(self, size: int) -> NDArray[np.uint8]:
        """RGB image, uint8 (size, size, 3)."""
        return self._camera.image(size)

    def tool_pose(self) -> tuple[Vector, Quaternion]:
        """Position in m and quaternion of the point between the finger pads."""
        if self._tool is None:
            self._tool = self.arm.tool_pose()
        return self._tool

    def gripper(self) -> tuple[float, ...]:
        """Eight numbers: the tool's position (m), its quaternion with w >= 0, the opening (m)."""
        if self._gripper is None:
            position, (x, y, z, w) = self.tool_pose()
            sign = math.copysign(1.0, w)  # q and -q are one rotation: report one of them
            quaternion = (sign * x, sign * y, sign * z, sign * w)
            self._gripper = (*position, *quaternion, self.arm.opening())
        return self._gripper

    def object_position(self, name: str) -> Vector:
        """Position of an object's center, m; of a drawer, that of its knob."""
        if name not in self._positions:
            if name in DRAWERS:
                self._positions[name] = knob_position(self.client, self.objects[name])
            else:
                self._positions[name], _ = bullet.getBasePositionAndOrientation(
                    self.objects[name], physicsClientId=self.client
                )
        return self._positions[name]

    def drawer_opening(self, name: str) -> float:
        """How far a drawer is open, m."""
        return drawer_opening(self.client, self.objects[name])

    def object_speed(self, name: str) -> float:
        """Linear speed of an object, m/s."""
        velocity, _ = bullet.getBaseVelocity(self.objects[name], physicsClientId=self.client)
        return math.hypot(*velocity)

    def touching_links(self, name: str) -> frozenset[int]:
        """Links of the arm in contact with an object or a tray after the last substep."""
        if name not in self._touching:
            contacts = bullet.getContactPoints(
                self.arm.body, self.objects[name], physicsClientId=self.client
            )
            moving = SLIDE if name in DRAWERS else BASE
            self._touching[name] = frozenset(
                c[3] for c in contacts if c[8] < CONTACT_SLACK_M and c[4] == moving
            )
        return self._touching[name]

    def is_grasped(self, name: str) -> bool:
        """Whether both fingers hold an object."""
        links = self.touching_links(name)
        return LEFT_FINGER in links and RIGHT_FINGER in links

    def is_arm_on_table(self) -> bool:
        """Whether the arm touches the table after the last substep; its base stands beside it."""
        contacts = bullet.getContactPoints(self.arm.body, self._table, physicsClientId=self.client)
        return any(contact[8] < CONTACT_SLACK_M for contact in contacts)
