"""The library of graspable objects: which meshes, at which scale, and how they lie on the table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import pybullet_data

ASSETS = Path(__file__).parent / "assets"
LIBRARY_FILE = ASSETS / "library.json"
SHAPES_FOLDER = ASSETS / "shapes"
OBJECT_MASS_KG = 0.05
Split = Literal["train", "test"]

Vector = tuple[float, float, float]
Quaternion = tuple[float, float, float, float]
Color = tuple[float, float, float, float]  # RGBA in [0, 1]


@dataclass(frozen=True)
class ObjectSpec:
    """One object: of `pybullet_data/random_urdfs`, or a shape of our own (`shapes`).

    Attributes:
        id: the number of a random object, such as "042", or the name of a shape, such as "cup".
        split: "train" objects make the prior's data, "test" objects are never in it.
        scale: factor from mesh units to m.
        lift_rate: how often the noise-free script lifted it, alone on the table.
        center: middle of the mesh's bounding box, m; positions of the object speak of this point.
        rest_height: height of the center over the table when it lies at rest, m.
        rest_orientation: quaternion (x, y, z, w) of that rest, before any turn about the vertical.
        colors: of each of its meshes.
    """

    id: str
    split: Split
    scale: float
    lift_rate: float
    center: Vector
    rest_height: float
    rest_orientation: Quaternion
    colors: tuple[Color, ...]

    @property
    def meshes(self) -> tuple[str, ...]:
        """Paths of its meshes: one inside the installed pybullet_data, or some of our own."""
        if self.id.isdigit():
            return (f"{pybullet_data.getDataPath()}/random_urdfs/{self.id}/{self.id}.obj",)
        return shape_files(self.id, len(self.colors))


def shape_files(name: str, num_colors: int) -> tuple[str, ...]:
    """Paths of the meshes of a shape of our own, one a colour."""
    return tuple(str(SHAPES_FOLDER / f"{name}-{number}.obj") for number in range(num_colors))


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
                "colors": tuple(map(tuple, row["colors"])),
            }
        )
        for row in rows
    ]
    return MappingProxyType({spec.id: spec for spec in specs})


@lru_cache(maxsize=2)
def object_ids(split: Split) -> tuple[str, ...]:
    """Ids of one split in ascending order; the two splits share none."""
    return tuple(sorted(spec.id for spec in library().values() if spec.split == split))
