"""Containers to place objects into or onto: of boxes, or of meshes where boxes will not do."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

from parrot_data.worlds.tabletop.boxes import Box
from parrot_data.worlds.tabletop.objects import Color, Split, shape_files


@dataclass(frozen=True)
class ContainerSpec:
    """A static body standing on the table, its origin at the middle of its footprint.

    Attributes:
        name: what tasks call it.
        split: "train" containers occur in the prior's data, "test" containers never.
        boxes: what it is made of; none where it is made of meshes, which
            parrot_data/worlds/tabletop/shapes/containers.py draws.
        colors: RGBA of each mesh; none where it is made of boxes.
        floor_height: height of the surface an object comes to rest on, m.
        half_width: half the width of that surface, m.
    """

    name: str
    split: Split
    boxes: tuple[Box, ...]
    colors: tuple[Color, ...]
    floor_height: float
    half_width: float

    @property
    def meshes(self) -> tuple[str, ...]:
        """Paths of its meshes, one a colour; none where it is made of boxes."""
        return shape_files(self.name, len(self.colors))


def _walled(
    half: float, floor: float, wall: float, thickness: float, floor_color: Color, wall_color: Color
) -> tuple[Box, ...]:
    """A square floor with four walls: half width inside, floor thickness, wall height, in m."""
    outer = half + thickness
    middle = floor + wall / 2
    t = thickness / 2
    return (
        ((outer, outer, floor / 2), (0.0, 0.0, floor / 2), floor_color),
        ((t, outer, wall / 2), (half + t, 0.0, middle), wall_color),
        ((t, outer, wall / 2), (-half - t, 0.0, middle), wall_color),
        ((half, t, wall / 2), (0.0, half + t, middle), wall_color),
        ((half, t, wall / 2), (0.0, -half - t, middle), wall_color),
    )


def _table(
    half: float, height: float, thickness: float, leg: float, top_color: Color, leg_color: Color
) -> tuple[Box, ...]:
    """A square top on four legs: half width, height of the top side, thicknesses, in m."""
    top, foot = height - thickness / 2, (height - thickness) / 2
    at = half - leg
    return (
        ((half, half, thickness / 2), (0.0, 0.0, top), top_color),
        *(
            ((leg / 2, leg / 2, foot), (x, y, foot), leg_color)
            for x in (-at, at)
            for y in (-at, at)
        ),
    )


def _solid(half: float, height: float, color: Color) -> tuple[Box, ...]:
    """A square block."""
    return (((half, half, height / 2), (0.0, 0.0, height / 2), color),)


def _of_boxes(
    name: str, split: Split, boxes: tuple[Box, ...], *, floor_height: float, half_width: float
) -> ContainerSpec:
    return ContainerSpec(name, split, boxes, (), floor_height, half_width)


def _of_meshes(
    name: str, split: Split, *colors: Color, floor_height: float, half_width: float
) -> ContainerSpec:
    return ContainerSpec(name, split, (), colors, floor_height, half_width)


TRAY = _of_boxes(
    "tray", "train",
    _walled(0.050, 0.006, 0.010, 0.005, (0.45, 0.30, 0.18, 1.0), (0.45, 0.30, 0.18, 1.0)),
    floor_height=0.006, half_width=0.050,
)  # fmt: skip
OPEN_BOX = _of_boxes(
    "open_box", "train",
    _walled(0.050, 0.005, 0.022, 0.005, (0.35, 0.37, 0.42, 1.0), (0.55, 0.57, 0.62, 1.0)),
    floor_height=0.005, half_width=0.050,
)  # fmt: skip
HOLLOW_CUBE = _of_boxes(
    "hollow_cube", "train",
    _walled(0.052, 0.004, 0.032, 0.003, (0.20, 0.12, 0.28, 1.0), (0.52, 0.36, 0.66, 1.0)),
    floor_height=0.004, half_width=0.052,
)  # fmt: skip
TABLE_TOP = _of_boxes(
    "table_top", "train",
    _table(0.054, 0.034, 0.008, 0.010, (0.62, 0.36, 0.16, 1.0), (0.40, 0.22, 0.10, 1.0)),
    floor_height=0.034, half_width=0.054,
)  # fmt: skip
CUBE = _of_boxes(
    "cube", "train", _solid(0.035, 0.060, (0.30, 0.45, 0.62, 1.0)),
    floor_height=0.060, half_width=0.035,
)  # fmt: skip
PLATE = _of_meshes(
    "plate", "train", (0.97, 0.97, 0.97, 1.0), (0.80, 0.86, 0.95, 1.0),
    floor_height=0.010, half_width=0.050,
)  # fmt: skip
SMALL_BOWL = _of_meshes(
    "small_bowl", "train", (0.80, 0.50, 0.36, 1.0), floor_height=0.006, half_width=0.046
)
TORUS = _of_meshes("torus", "train", (0.20, 0.55, 0.60, 1.0), floor_height=0.020, half_width=0.046)
PAN = _of_meshes(
    "pan", "test", (0.16, 0.16, 0.18, 1.0), (0.36, 0.37, 0.40, 1.0), (0.45, 0.20, 0.08, 1.0),
    floor_height=0.005, half_width=0.048,
)  # fmt: skip
BASKET = _of_meshes(
    "basket", "test", (0.95, 0.72, 0.36, 1.0), (0.50, 0.27, 0.08, 1.0),
    floor_height=0.005, half_width=0.046,
)  # fmt: skip
CHECKERBOARD_TABLE = _of_meshes(
    "checkerboard_table", "test", (0.97, 0.95, 0.88, 1.0), (0.10, 0.08, 0.09, 1.0),
    floor_height=0.030, half_width=0.056,
)  # fmt: skip
BLOCK = _of_boxes(
    "block", "test", _solid(0.055, 0.024, (0.72, 0.58, 0.40, 1.0)),
    floor_height=0.024, half_width=0.055,
)  # fmt: skip

CONTAINERS = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            PLATE, HOLLOW_CUBE, TABLE_TOP, SMALL_BOWL, TRAY, OPEN_BOX, CUBE, TORUS,
            PAN, BASKET, CHECKERBOARD_TABLE, BLOCK,
        )
    }
)  # fmt: skip


def container_names(split: str) -> tuple[str, ...]:
    """Names of the containers of one split, in order of the table above."""
    return tuple(c.name for c in CONTAINERS.values() if c.split == split)
