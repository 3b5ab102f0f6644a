"""Drawers to pull open: a case that stands still, and a tray with a knob that slides out of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from parrot_data.worlds.tabletop.boxes import Box, Shapes, box_shapes
from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.objects import Color, Split, Vector

TRAVEL_M = 0.06  # from shut to the stop
KNOB_HALF = (0.015, 0.015, 0.014)  # 0.030 across; open fingers are 0.066 apart
KNOB_HEIGHT_M = 0.026
STEM_HALF = (0.008, 0.006, 0.006)
# From the knob's middle back to the front: fingers, 0.022 m wide, do not reach behind the knob.
KNOB_REACH_M = KNOB_HALF[0] + 2 * STEM_HALF[0]
DEPTH_M = 0.065  # of the case
PANEL_M = 0.006  # thickness of front, sides and floor
FRONT_HEIGHT_M = 0.030
TOP_M, OVERHANG_M = 0.008, 0.012  # of the case's top: its thickness, and how far it stands out
SLIDE = 0  # index of the only joint, and of the link that moves
SLIDE_FRICTION_N = 2.0  # it stays where it was left
TRAY_MASS_KG = 0.03  # heavier, and it slips from fingers that start at a jerk


@dataclass(frozen=True)
class DrawerSpec:
    """A drawer that opens along the table's x axis, away from the arm and towards the camera.

    Its origin is the foot of its knob, shut.

    Attributes:
        name: what tasks call it.
        split: "train" drawers occur in the prior's data, "test" drawers never.
        half_width: half the width of the case, m.
        height: of the case, m; lower than the hand is when its fingers hold the knob.
        case_color: RGBA.
        front_color: RGBA of the front and the tray.
        knob_color: RGBA; saturated like the objects', as it is what the hand goes for.
    """

    name: str
    split: Split
    half_width: float
    height: float
    case_color: Color
    front_color: Color
    knob_color: Color

    @property
    def back(self) -> float:
        """Distance of the knob's middle from the back of the case, m."""
        return KNOB_REACH_M + PANEL_M + DEPTH_M

    def clearance(
        self, xy: tuple[float, float], margin: float
    ) -> tuple[tuple[float, float], tuple[float, float]]:
        """Bounds of x and of y, m: all it covers standing at `xy`, shut or open, and a margin."""
        x, y = xy
        side = self.half_width + margin
        return (
            (x - self.back - margin, x + KNOB_HALF[0] + TRAVEL_M + margin),
            (y - side, y + side),
        )

    def case_boxes(self) -> tuple[Box, ...]:
        """The case, solid, as a body does not collide with itself, and its top.

        The top overhangs the front: without it, fingers pressed on the case and then forward
        pushed the drawer open from behind, and random actions were rewarded too often.
        """
        half = (DEPTH_M / 2, self.half_width, (self.height - TOP_M) / 2)
        top = (half[0] + OVERHANG_M / 2, self.half_width, TOP_M / 2)
        return (
            (half, (half[0] - self.back, 0.0, half[2]), self.case_color),
            (top, (top[0] - self.back, 0.0, self.height - top[2]), self.case_color),
        )

    def tray_boxes(self) -> tuple[Box, ...]:
        """Front, floor, two sides, stem and knob, as they are when shut."""
        half_width, half_height, t = self.half_width - PANEL_M, FRONT_HEIGHT_M / 2, PANEL_M / 2
        front, length, color = -KNOB_REACH_M - t, TRAVEL_M / 2, self.front_color
        behind, middle, side = front - t - length, PANEL_M + half_height, half_width - t
        return (
            ((t, half_width, half_height), (front, 0.0, middle), color),
            ((length, side, t), (behind, 0.0, PANEL_M + t), color),
            ((length, t, half_height - t), (behind, side, middle - t), color),
            ((length, t, half_height - t), (behind, -side, middle - t), color),
            (STEM_HALF, (-KNOB_HALF[0] - STEM_HALF[0], 0.0, KNOB_HEIGHT_M), self.knob_color),
            (KNOB_HALF, (0.0, 0.0, KNOB_HEIGHT_M), self.knob_color),
        )


OAK = DrawerSpec(
    "oak_drawer", "train", half_width=0.045, height=0.052,
    case_color=(0.50, 0.36, 0.22, 1.0), front_color=(0.72, 0.58, 0.40, 1.0),
    knob_color=(0.85, 0.10, 0.10, 1.0),
)  # fmt: skip
WHITE = DrawerSpec(
    "white_drawer", "train", half_width=0.040, height=0.056,
    case_color=(0.62, 0.62, 0.62, 1.0), front_color=(0.95, 0.95, 0.95, 1.0),
    knob_color=(0.10, 0.65, 0.20, 1.0),
)  # fmt: skip
SLATE = DrawerSpec(
    "slate_drawer", "train", half_width=0.050, height=0.048,
    case_color=(0.28, 0.30, 0.34, 1.0), front_color=(0.45, 0.48, 0.54, 1.0),
    knob_color=(0.95, 0.75, 0.05, 1.0),
)  # fmt: skip
WALNUT = DrawerSpec(
    "walnut_drawer", "test", half_width=0.048, height=0.054,
    case_color=(0.25, 0.15, 0.10, 1.0), front_color=(0.40, 0.26, 0.18, 1.0),
    knob_color=(0.10, 0.35, 0.95, 1.0),
)  # fmt: skip

DRAWERS = MappingProxyType({d.name: d for d in (OAK, WHITE, SLATE, WALNUT)})


def drawer_names(split: Split) -> tuple[str, ...]:
    """Names of the drawers of one split, in order of the table above."""
    return tuple(d.name for d in DRAWERS.values() if d.split == split)


class Drawers:
    """Makes drawers in one physics client, from shapes that the client keeps."""

    def __init__(self, client: int) -> None:
        """Make nothing before it is asked for."""
        self._client = client
        self._shapes: dict[str, tuple[Shapes, Shapes]] = {}  # of case and tray, by drawer

    def add(self, name: str, xy: tuple[float, float]) -> int:
        """Stand a shut drawer on the table, the foot of its knob at `xy` in m.

        Returns:
            The body; its link SLIDE is the tray.
        """
        if name not in self._shapes:
            spec = DRAWERS[name]
            self._shapes[name] = (
                box_shapes(self._client, spec.case_boxes()),
                box_shapes(self._client, spec.tray_boxes()),
            )
        case, tray = self._shapes[name]
        nowhere, upright = (0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 1.0)
        body: int = bullet.createMultiBody(
            0.0, *case, (*xy, 0.0), linkMasses=[TRAY_MASS_KG],
            linkCollisionShapeIndices=[tray[0]], linkVisualShapeIndices=[tray[1]],
            linkPositions=[nowhere], linkOrientations=[upright],
            linkInertialFramePositions=[nowhere], linkInertialFrameOrientations=[upright],
            linkParentIndices=[0], linkJointTypes=[bullet.JOINT_PRISMATIC],
            linkJointAxis=[(1.0, 0.0, 0.0)], physicsClientId=self._client,
        )  # fmt: skip
        bullet.changeDynamics(
            body, SLIDE, lateralFriction=1.0, jointLowerLimit=0.0, jointUpperLimit=TRAVEL_M,
            physicsClientId=self._client,
        )  # fmt: skip
        # A motor that wants no motion and has little force is friction.
        bullet.setJointMotorControl2(
            body, SLIDE, bullet.VELOCITY_CONTROL, targetVelocity=0.0, force=SLIDE_FRICTION_N,
            physicsClientId=self._client,
        )  # fmt: skip
        return body

    def remove(self, body: int) -> None:
        """Take a drawer away, so that the client is as it was before.

        Bullet gives back the places of the two parts in the order in which it took them, case
        first: the next two bodies would take them the other way round, and collide in another
        order. Two empty bodies, removed in that same wrong order, turn the places back.
        """
        bullet.removeBody(body, physicsClientId=self._client)
        for empty in [bullet.createMultiBody(physicsClientId=self._client) for _ in range(2)]:
            bullet.removeBody(empty, physicsClientId=self._client)


def drawer_opening(client: int, body: int) -> float:
    """How far a drawer is open, m: 0 shut, TRAVEL_M at the stop."""
    return float(bullet.getJointState(body, SLIDE, physicsClientId=client)[0])


def knob_position(client: int, body: int) -> Vector:
    """Position of the middle of a drawer's knob, m."""
    (x, y, _), _ = bullet.getBasePositionAndOrientation(body, physicsClientId=client)
    return (x + drawer_opening(client, body), y, KNOB_HEIGHT_M)
