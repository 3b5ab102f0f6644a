"""The containers that boxes cannot make: round ones in convex segments, and one with a pattern.

Only their forms: their colours are those of the table of containers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parrot_data.worlds.tabletop.containers import (
    BASKET,
    CHECKERBOARD_TABLE,
    PAN,
    PLATE,
    SMALL_BOWL,
    TORUS,
    ContainerSpec,
)
from parrot_data.worlds.tabletop.shapes.solids import Part, Shape, Solid, box, lathe, ring_segments

NUM_SEGMENTS = 10


def plate() -> Shape:
    """A white plate with a bluish dish."""
    rim = lathe([(0.040, 0.0), (0.058, 0.010)], NUM_SEGMENTS, has_top=False)
    dish = lathe([(0.058, 0.010), (0.044, 0.0065)], NUM_SEGMENTS, has_bottom=False)
    return _colored(PLATE, [rim], [dish])


def torus() -> Shape:
    """A ring lying on the table."""
    tube = [(0.047, 0.0), (0.058, 0.010), (0.047, 0.020), (0.036, 0.010)]
    return _colored(TORUS, ring_segments(tube, NUM_SEGMENTS))


def small_bowl() -> Shape:
    """A round bowl of clay, wider at its rim."""
    floor = lathe([(0.036, 0.0), (0.042, 0.006)], NUM_SEGMENTS)
    wall = [(0.038, 0.005), (0.043, 0.005), (0.060, 0.026), (0.055, 0.026)]
    return _colored(SMALL_BOWL, [floor, *ring_segments(wall, NUM_SEGMENTS, unseen=(0,))])


def pan() -> Shape:
    """A round frying pan with a long handle."""
    floor = lathe([(0.050, 0.0), (0.050, 0.005)], NUM_SEGMENTS)
    wall = [(0.048, 0.0), (0.053, 0.0), (0.059, 0.018), (0.055, 0.018)]
    handle = box(0.060, 0.016, 0.008).moved(x=0.086, z=0.010)
    return _colored(PAN, ring_segments(wall, NUM_SEGMENTS, unseen=(0,)), [floor], [handle])


def basket() -> Shape:
    """A woven basket: strips of two colours in turn, and an ear on either side."""
    floor = lathe([(0.044, 0.0), (0.046, 0.005)], NUM_SEGMENTS)
    low = [(0.044, 0.0), (0.049, 0.0), (0.053, 0.014), (0.048, 0.014)]
    high = [(0.048, 0.014), (0.054, 0.014), (0.058, 0.029), (0.052, 0.029)]
    strips = [ring_segments(band, NUM_SEGMENTS, unseen=(0,)) for band in (low, high)]
    light, dark = (
        [strip for row, band in enumerate(strips) for strip in band[(row + color) % 2 :: 2]]
        for color in (0, 1)
    )
    ears = [
        box(width, depth, 0.006).moved(x, side * y, 0.020)
        for side in (-1, 1)
        for width, depth, x, y in ((0.006, 0.018, -0.012, 0.060), (0.006, 0.018, 0.012, 0.060),
                                   (0.030, 0.006, 0.0, 0.070))
    ]  # fmt: skip
    return _colored(BASKET, light, [floor, *dark, *ears])


def checkerboard_table() -> Shape:
    """A small table, four by four squares on its top."""
    legs = [box(0.010, 0.010, 0.022).moved(x, y) for x in (-0.048, 0.048) for y in (-0.048, 0.048)]
    light, dark = (_squares(4, 0.112, 0.022, 0.030, color) for color in (0, 1))
    return _colored(CHECKERBOARD_TABLE, [light], [dark, *legs])


def _colored(spec: ContainerSpec, *groups: Sequence[Solid]) -> Shape:
    """Groups of solids in the container's colours, one a colour and in their order."""
    paired = zip(spec.colors, groups, strict=True)
    return tuple(Part(color, tuple(solids)) for color, solids in paired)


def _squares(count: int, width: float, bottom: float, top: float, color: int) -> Solid:
    """The squares of one colour on a board of count x count, and two of the board's four sides.

    Both colours collide as the whole board.
    """
    side = width / count
    quads = []
    for row in range(count):
        for column in range(count):
            if (row + column) % 2 == color:
                x, y = column * side - width / 2, row * side - width / 2
                quads.append([(x, y), (x + side, y), (x + side, y + side), (x, y + side)])
    vertices = [(x, y, top) for quad in quads for x, y in quad]
    triangles = [(4 * q + a, 4 * q + b, 4 * q + c) for q in range(len(quads))
                 for a, b, c in ((0, 1, 2), (0, 2, 3))]  # fmt: skip
    half = width / 2
    corners = [(half, -half), (half, half), (-half, half), (-half, -half)]
    if color:
        corners = [*corners[2:], *corners[:2]]
    first = len(vertices)
    for x, y in corners[:3]:
        vertices += [(x, y, bottom), (x, y, top)]
    for low in (first, first + 2):
        triangles += [(low, low + 2, low + 3), (low, low + 3, low + 1)]
    return Solid(np.array(vertices), tuple(triangles))


def container_shapes() -> dict[str, Shape]:
    """Meshes of containers by name, standing on z = 0."""
    makers = (plate, torus, small_bowl, pan, basket, checkerboard_table)
    return {maker.__name__: maker() for maker in makers}
