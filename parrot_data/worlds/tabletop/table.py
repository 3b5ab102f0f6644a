"""The table: a box to collide with, and apart from it a box to look at."""

from __future__ import annotations

from parrot_data.worlds.tabletop.bullet import bullet

TABLE_HALF_M, TABLE_CENTER = (0.6, 0.6, 0.05), (0.3, 0.0, -0.05)
TABLE_COLOR = (0.80, 0.78, 0.74, 1.0)


def add_solid_table(client: int) -> int:
    """The table things lie on, with nothing of it in sight; its body."""
    box = bullet.createCollisionShape(
        bullet.GEOM_BOX, halfExtents=TABLE_HALF_M, physicsClientId=client
    )
    # A body without a visual shape is drawn as it collides, so one out of sight: see Camera.
    speck = bullet.createVisualShape(
        bullet.GEOM_BOX, halfExtents=(0.001, 0.001, 0.001),
        visualFramePosition=(0.0, 0.0, -10.0), physicsClientId=client,
    )  # fmt: skip
    body: int = bullet.createMultiBody(0.0, box, speck, TABLE_CENTER, physicsClientId=client)
    return body


def add_visible_table(client: int) -> None:
    """The table as it looks, for a client that only makes images."""
    box = bullet.createVisualShape(
        bullet.GEOM_BOX, halfExtents=TABLE_HALF_M, rgbaColor=TABLE_COLOR, physicsClientId=client
    )
    bullet.createMultiBody(0.0, -1, box, TABLE_CENTER, physicsClientId=client)
