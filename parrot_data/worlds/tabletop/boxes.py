"""Boxes put together: drawers, and containers that need no mesh, are made of them."""

from __future__ import annotations

from collections.abc import Sequence

from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.objects import Color, Vector

Box = tuple[Vector, Vector, Color]  # half extents and center, m, and RGBA
Shapes = tuple[int, int]  # to collide with and to look at


def box_shapes(client: int, boxes: Sequence[Box]) -> Shapes:
    """Shapes of one body in a physics client, made of all these boxes."""
    halves, centers, colors = (list(map(list, column)) for column in zip(*boxes, strict=True))
    kinds = [bullet.GEOM_BOX] * len(boxes)
    return (
        bullet.createCollisionShapeArray(
            kinds, halfExtents=halves, collisionFramePositions=centers, physicsClientId=client
        ),
        bullet.createVisualShapeArray(
            kinds, halfExtents=halves, visualFramePositions=centers, rgbaColors=colors,
            physicsClientId=client,
        ),
    )  # fmt: skip
