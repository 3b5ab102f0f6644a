"""Containers to place objects into or onto, built from boxes."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType

Vector = tuple[float, float, float]
Color = tuple[float, float, float, float]


@dataclass(frozen=True)
class ContainerSpec:
    """A static body of boxes standing on the table, its origin at the middle of its footprint.

    Attributes:
        name: what tasks call it.
        split: "train" containers occur in the prior's data, "test" containers never.
        boxes: (half extents, center) of each box, m.
        colors: RGBA of each box.
        floor_height: height of the surface an object comes to rest on, m.
        half_width: half the width of that surface, m.
    """

    name: str
    split: str
    boxes: tuple[tuple[Vector, Vector], ...]
    colors: tuple[Color, ...]
    floor_height: float
    half_width: float


def _walled(
    half: float, floor: float, wall: float, thickness: float
) -> tuple[tuple[Vector, Vector], ...]:
    """A square floor with four walls: half width inside, floor thickness, wall height, in m."""
    outer = half + thickness
    middle = floor + wall / 2
    t = thickness / 2
    return (
        ((outer, outer, floor / 2), (0.0, 0.0, floor / 2)),
        ((t, outer, wall / 2), (half + t, 0.0, middle)),
        ((t, outer, wall / 2), (-half - t, 0.0, middle)),
        ((half, t, wall / 2), (0.0, half + t, middle)),
        ((half, t, wall / 2), (0.0, -half - t, middle)),
    )


TRAY = ContainerSpec(
    "tray", "train", _walled(0.050, 0.006, 0.010, 0.005), ((0.45, 0.30, 0.18, 1.0),) * 5,
    floor_height=0.006, half_width=0.050,
)  # fmt: skip
OPEN_BOX = ContainerSpec(
    "open_box", "train", _walled(0.050, 0.005, 0.022, 0.005),
    ((0.35, 0.37, 0.42, 1.0), *((0.55, 0.57, 0.62, 1.0),) * 4),
    floor_height=0.005, half_width=0.050,
)  # fmt: skip
PLATE = ContainerSpec(
    "plate", "train", (((0.055, 0.055, 0.004), (0.0, 0.0, 0.004)),), ((0.97, 0.97, 0.97, 1.0),),
    floor_height=0.008, half_width=0.055,
)  # fmt: skip
BLOCK = ContainerSpec(
    "block", "train", (((0.055, 0.055, 0.012), (0.0, 0.0, 0.012)),), ((0.72, 0.58, 0.40, 1.0),),
    floor_height=0.024, half_width=0.055,
)  # fmt: skip
PAN = ContainerSpec(
    "pan", "test",
    (*_walled(0.050, 0.005, 0.015, 0.005), ((0.035, 0.008, 0.005), (0.090, 0.0, 0.015))),
    ((0.22, 0.22, 0.24, 1.0), *((0.30, 0.30, 0.32, 1.0),) * 4, (0.10, 0.10, 0.10, 1.0)),
    floor_height=0.005, half_width=0.050,
)  # fmt: skip

CONTAINERS = MappingProxyType({c.name: c for c in (TRAY, OPEN_BOX, PLATE, BLOCK, PAN)})


def container_names(split: str) -> tuple[str, ...]:
    """Names of the containers of one split, in order of the table above."""
    return tuple(c.name for c in CONTAINERS.values() if c.split == split)
