"""Solids of a few triangles, which every shape of our own is put together from.

A solid is drawn by its triangles and collides as the convex hull of its vertices, so that one may
look hollow (a cup) and still be cheap to collide with. Triangles that nobody sees are left out: a
image costs time for every one of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Point = tuple[float, float, float]  # m
Point2 = tuple[float, float]  # m
Color = tuple[float, float, float, float]  # RGBA in [0, 1]


@dataclass(frozen=True)
class Solid:
    """Vertices, float64 (num_vertices, 3) in m, and triangles of them, seen counterclockwise."""

    vertices: NDArray[np.float64]
    triangles: tuple[tuple[int, int, int], ...]

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Solid:
        """The solid shifted, m."""
        return Solid(self.vertices + np.array([x, y, z]), self.triangles)

    def turned(self, axis: str, degrees: float) -> Solid:
        """The solid turned about the x, y or z axis through the origin."""
        first, second = {"x": (1, 2), "y": (2, 0), "z": (0, 1)}[axis]
        c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        vertices = self.vertices.copy()
        vertices[:, first] = c * self.vertices[:, first] - s * self.vertices[:, second]
        vertices[:, second] = s * self.vertices[:, first] + c * self.vertices[:, second]
        return Solid(vertices, self.triangles)

    def scaled(self, x: float = 1.0, y: float = 1.0, z: float = 1.0) -> Solid:
        """The solid stretched by positive factors."""
        return Solid(self.vertices * np.array([x, y, z]), self.triangles)


@dataclass(frozen=True)
class Part:
    """Solids of one colour: one mesh of a shape."""

    color: Color
    solids: tuple[Solid, ...]


Shape = tuple[Part, ...]


def part(red: float, green: float, blue: float, *solids: Solid) -> Part:
    """Solids in a colour, each of its parts in [0, 1]."""
    return Part((red, green, blue, 1.0), solids)


def box(width: float, depth: float, height: float) -> Solid:
    """A box along x, y and z that stands on z = 0, in m."""
    x, y = width / 2, depth / 2
    return prism(((x, y), (-x, y), (-x, -y), (x, -y)), height)


def prism(corners: Sequence[Point2], height: float) -> Solid:
    """A convex polygon, corners counterclockwise, drawn upwards from z = 0."""
    return _skin([[(x, y, z) for x, y in corners] for z in (0.0, height)])


def frustum(corners: Sequence[Point2], height: float, top: float) -> Solid:
    """A convex polygon that becomes `top` times as large on the way up from z = 0."""
    below = [(x, y, 0.0) for x, y in corners]
    return _skin([below, [(top * x, top * y, height) for x, y in corners]])


def pyramid(corners: Sequence[Point2], height: float) -> Solid:
    """A convex polygon and a point above its origin."""
    n = len(corners)
    vertices = [(x, y, 0.0) for x, y in corners] + [(0.0, 0.0, height)]
    sides = [(i, (i + 1) % n, n) for i in range(n)]
    return Solid(np.array(vertices), tuple(sides) + tuple(_fan(range(n - 1, -1, -1))))


def lathe(
    profile: Sequence[Point2], num_sides: int, *, has_bottom: bool = True, has_top: bool = True
) -> Solid:
    """Rings of (radius, z), from the lowest upwards, about the z axis; collides as their hull.

    A hollow is a profile that turns back down inside.
    """
    corners = regular(num_sides, 1.0)
    rings = [[(r * x, r * y, z) for x, y in corners] for r, z in profile]
    return _skin(rings, has_bottom=has_bottom, has_top=has_top)


def regular(num_sides: int, radius: float) -> tuple[Point2, ...]:
    """Corners of a regular polygon, a side of it towards +x."""
    angles = [math.tau * (i + 0.5) / num_sides for i in range(num_sides)]
    return tuple((radius * math.cos(a), radius * math.sin(a)) for a in angles)


def ring_segments(
    section: Sequence[Point2], num_segments: int, *, unseen: Iterable[int] = ()
) -> list[Solid]:
    """A ring about the z axis in convex segments.

    Args:
        section: corners (radius, z) of the ring cut through, counterclockwise.
        num_segments: how many segments make the ring.
        unseen: sides of the section that are not drawn, by number of their first corner.
    """
    count = len(section)
    hidden = set(unseen)
    segments = []
    for number in range(num_segments):
        ends = [math.tau * (number + k + 0.5) / num_segments for k in (0, 1)]
        vertices = [(r * math.cos(a), r * math.sin(a), z) for a in ends for r, z in section]
        triangles = []
        for i in range(count):
            j = (i + 1) % count
            if i not in hidden:
                triangles += [(i, j, count + j), (i, count + j, count + i)]
        flipped = tuple((a, c, b) for a, b, c in triangles)
        segments.append(Solid(np.array(vertices), flipped))
    return segments


def num_triangles(shape: Shape) -> int:
    """How many triangles an image of the shape draws."""
    return sum(len(solid.triangles) for p in shape for solid in p.solids)


def centered(shape: Shape, scale: float = 1.0) -> Shape:
    """The shape `scale` times as large, the middle of its bounding box at the origin."""
    vertices = np.concatenate([solid.vertices for p in shape for solid in p.solids])
    x, y, z = (-(vertices.max(axis=0) + vertices.min(axis=0)) / 2).tolist()
    factors = (scale, scale, scale)
    return tuple(
        Part(p.color, tuple(s.moved(x, y, z).scaled(*factors) for s in p.solids)) for p in shape
    )


def as_obj(solids: Iterable[Solid]) -> str:
    """A Wavefront file with one object a solid, to a hundredth of a millimetre."""
    lines, first = [], 1
    for number, solid in enumerate(solids):
        lines.append(f"o {number}")
        # Adding zero makes of a rounded -0.0 a 0.0: the same bytes on every machine.
        rounded = solid.vertices.round(5) + 0.0
        lines += [f"v {x:.5f} {y:.5f} {z:.5f}" for x, y, z in rounded.tolist()]
        lines += [f"f {first + a} {first + b} {first + c}" for a, b, c in solid.triangles]
        first += len(solid.vertices)
    return "\n".join(lines) + "\n"


def _skin(rings: list[list[Point]], *, has_bottom: bool = True, has_top: bool = True) -> Solid:
    """Rings of equally many points, from below, joined by triangles; a ring may be a point."""
    n = len(rings[0])
    triangles: list[tuple[int, int, int]] = []
    for ring in range(len(rings) - 1):
        low, high = ring * n, (ring + 1) * n
        is_point = [all(math.hypot(*p[:2]) < 1e-9 for p in rings[k]) for k in (ring, ring + 1)]
        for i in range(n):
            j = (i + 1) % n
            if not is_point[0]:
                triangles.append((low + i, low + j, high + j))
            if not is_point[1]:
                triangles.append((low + i, high + j, high + i))
    last = (len(rings) - 1) * n
    if has_bottom:
        triangles += _fan(range(n - 1, -1, -1))
    if has_top:
        triangles += _fan(range(last, last + n))
    return Solid(np.array([point for ring in rings for point in ring]), tuple(triangles))


def _fan(corners: Sequence[int]) -> list[tuple[int, int, int]]:
    return [(corners[0], corners[i], corners[i + 1]) for i in range(1, len(corners) - 1)]
