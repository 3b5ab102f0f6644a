"""Bodies of objects and containers, from shapes that a physics client keeps."""

from __future__ import annotations

from collections.abc import Sequence

from parrot_data.worlds.tabletop.boxes import Shapes, box_shapes
from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.containers import CONTAINERS
from parrot_data.worlds.tabletop.objects import OBJECT_MASS_KG, Color, ObjectSpec
from parrot_data.worlds.tabletop.obstacles import OBSTACLES


class Bodies:
    """Makes bodies in one physics client; what they are made of is loaded once."""

    def __init__(self, client: int) -> None:
        """Start with no shape loaded."""
        self._client = client
        self._shapes: dict[str, Shapes] = {}

    def add_object(self, spec: ObjectSpec, xy: tuple[float, float], yaw: float) -> int:
        """An object at rest on the table, at (x, y) in m and turned by `yaw` in rad."""
        if spec.id not in self._shapes:
            self._shapes[spec.id] = self._meshes(spec.meshes, spec.scale, spec.colors)
        collision, visual = self._shapes[spec.id]
        # A rigid body rather than an articulated one without joints: a step takes a tenth less.
        body: int = bullet.createMultiBody(
            OBJECT_MASS_KG, collision, visual, baseInertialFramePosition=spec.center,
            useMaximalCoordinates=True, physicsClientId=self._client,
        )  # fmt: skip
        turn = bullet.getQuaternionFromEuler((0.0, 0.0, yaw))
        _, pose = bullet.multiplyTransforms((0, 0, 0), turn, (0, 0, 0), spec.rest_orientation)
        bullet.resetBasePositionAndOrientation(
            body, (*xy, spec.rest_height), pose, physicsClientId=self._client
        )
        bullet.changeDynamics(
            body, -1, lateralFriction=1.0, spinningFriction=0.005, rollingFriction=0.008,
            linearDamping=0.9, angularDamping=0.999, physicsClientId=self._client,
        )  # fmt: skip
        return body

    def add_obstacle(self, name: str, xy: tuple[float, float]) -> int:
        """An obstacle standing on the table at (x, y) in m; nothing moves it."""
        if name not in self._shapes:
            self._shapes[name] = box_shapes(self._client, OBSTACLES[name].boxes)
        collision, visual = self._shapes[name]
        body: int = bullet.createMultiBody(
            0.0, collision, visual, (*xy, 0.0), physicsClientId=self._client
        )
        return body

    def add_container(self, name: str, xy: tuple[float, float]) -> int:
        """A container standing on the table at (x, y) in m; nothing moves it."""
        spec = CONTAINERS[name]
        if name not in self._shapes:
            self._shapes[name] = (
                box_shapes(self._client, spec.boxes)
                if spec.boxes
                else self._meshes(spec.meshes, 1.0, spec.colors)
            )
        collision, visual = self._shapes[name]
        body: int = bullet.createMultiBody(
            0.0, collision, visual, (*xy, 0.0), physicsClientId=self._client
        )
        return body

    def _meshes(self, files: Sequence[str], scale: float, colors: Sequence[Color]) -> Shapes:
        """Meshes in colours of their own; each of their parts collides as its convex hull."""
        kinds, scales = [bullet.GEOM_MESH] * len(files), [[scale] * 3] * len(files)
        return (
            bullet.createCollisionShapeArray(
                kinds, fileNames=list(files), meshScales=scales, physicsClientId=self._client
            ),
            bullet.createVisualShapeArray(
                kinds, fileNames=list(files), meshScales=scales,
                rgbaColors=[list(color) for color in colors], physicsClientId=self._client,
            ),
        )  # fmt: skip
