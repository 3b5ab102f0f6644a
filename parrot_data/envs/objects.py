"""The library of graspable objects: which meshes, at which scale, and how they lie on the table."""

from __future__ import annotations

import colorsys
import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pybullet_data

LIBRARY_FILE = Path(__file__).parent / "assets" / "library.json"
OBJECT_MASS_KG = 0.05
Split = Literal["train", "test"]

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]


@dataclass(frozen=True)
class ObjectSpec:
    """One object of `pybullet_data/random_urdfs` as it is used here.

    Attributes:
        id: its number there, such as "042".
        split: "train" objects make the prior's data, "test" objects are never in it.
        scale: factor from mesh units to m.
        lift_rate: how often the noise-free script lifted it, alone on the table.
        center: middle of the mesh's bounding box, m; positions of the object speak of this point.
        rest_height: height of the center over the table when it lies at rest, m.
        rest_orientation: quaternion (x, y, z, w) of that rest, before any turn about the vertical.
    """

    id: str
    split: Split
    scale: float
    lift_rate: float
    center: Vector
    rest_height: float
    rest_orientation: Quaternion

    @property
    def mesh(self) -> str:
        """Path of the mesh inside the installed pybullet_data."""
        return f"{pybullet_data.getDataPath()}/random_urdfs/{self.id}/{self.id}.obj"

    @property
    def color(self) -> tuple[float, float, float, float]:
        """RGBA in [0, 1]: a saturated colour of its own, always the same for one id."""
        # Multiples of the golden ratio never come close to each other on the circle of hues.
        hue = (int(self.id) * 0.6180339887) % 1.0
        value = 0.70 + 0.30 * ((int(self.id) * 7) % 10) / 9
        return (*colorsys.hsv_to_rgb(hue, 0.90, value), 1.0)


@lru_cache(maxsize=1)
def library() -> MappingProxyType[str, ObjectSpec]:
    """The committed table by id, measured by `parrot measure-objects`."""
    rows = json.loads(LIBRARY_FILE.read_text())
    specs = [
        ObjectSpec(
            **{
                **row,
                "center": tuple(row["center"]),
                "rest_orientation": tuple(row["rest_orientation"]),
            }
        )
        for row in rows
    ]
    return MappingProxyType({spec.id: spec for spec in specs})


def object_ids(split: Split) -> tuple[str, ...]:
    """Ids of one split in ascending order; the two splits share none."""
    return tuple(sorted(spec.id for spec in library().values() if spec.split == split))
