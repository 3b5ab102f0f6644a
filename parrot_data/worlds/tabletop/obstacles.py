"""What stands in the way of a target: static, too high to reach over from where the arm starts."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from parrot_data.worlds.tabletop.boxes import Box


@dataclass(frozen=True)
class ObstacleSpec:
    """A static body between the arm's start and the target; it is on one side or on the other.

    Attributes:
        name: what tasks call it.
        boxes: what it is made of, its origin at the middle of its footprint.
        height: of its top, m.
        distance: of its middle from the arm's plane of symmetry, y = 0, m.
        beyond: bounds of the target's distance from that plane, m.
        clearance: of another object's center from its middle, in y, m.
    """

    name: str
    boxes: tuple[Box, ...]
    height: float
    distance: float
    beyond: tuple[float, float]
    clearance: float


# The arm starts with its fingers at 0.13 m: the straight way down to a target leads through it.
WALL = ObstacleSpec(
    "wall",
    (((0.070, 0.004, 0.075), (0.0, 0.0, 0.075), (0.45, 0.16, 0.14, 1.0)),),
    height=0.15,
    distance=0.065,
    beyond=(0.122, 0.135),
    clearance=0.045,
)
OBSTACLES = MappingProxyType({WALL.name: WALL})
