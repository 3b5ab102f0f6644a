"""The camera: images of one physics client, the empty table drawn only once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.table import add_visible_table

# The authors' framing: 0.29 m from the middle of the workspace, 40 degrees down, facing the arm.
CAMERA_TARGET = (0.30, 0.0, 0.02)
CAMERA_DISTANCE_M, CAMERA_YAW, CAMERA_PITCH, CAMERA_FIELD_OF_VIEW = 0.29, 90.0, -40.0, 60.0
VIEW = bullet.computeViewMatrixFromYawPitchRoll(
    CAMERA_TARGET, CAMERA_DISTANCE_M, CAMERA_YAW, CAMERA_PITCH, 0, 2
)
PROJECTION = bullet.computeProjectionMatrixFOV(CAMERA_FIELD_OF_VIEW, 1.0, 0.05, 1.5)
NOTHING_DEPTH = 0.9999  # depth buffer where no body is; the farthest part of the arm is at 0.96


class Camera:
    """Looks at what lies on the table of one physics client."""

    def __init__(self, client: int) -> None:
        """Look at a client whose own table cannot be seen (`add_solid_table`)."""
        self._client = client
        self._empty_tables: dict[int, NDArray[np.uint32]] = {}  # by size

    def image(self, size: int) -> NDArray[np.uint8]:
        """RGB image, uint8 (size, size, 3).

        The table fills the image and never changes, and shading its pixels costs more than all
        the rest: it is drawn once a size, and each image is laid over it. Nothing is ever behind
        the table's top, so this is what drawing it every time would give.
        """
        if size not in self._empty_tables:
            self._empty_tables[size] = _empty_table(size)
        pixels, depth = _camera_image(self._client, size)
        # A pixel's four bytes taken as one number, then a copy a channel: a third of the time that
        # numpy takes to mask and to copy runs of three bytes.
        merged = np.where(depth < NOTHING_DEPTH, pixels, self._empty_tables[size])
        channels = merged.view(np.uint8).reshape(size, size, 4)
        image = np.empty((size, size, 3), dtype=np.uint8)
        for channel in range(3):
            image[:, :, channel] = channels[:, :, channel]
        return image


def _camera_image(client: int, size: int) -> tuple[NDArray[np.uint32], NDArray[np.float32]]:
    """RGBA as one number a pixel and depth buffer, both (size, size), of what a client shows."""
    _, _, pixels, depth, _ = bullet.getCameraImage(
        size, size, VIEW, PROJECTION, shadow=0, lightDirection=(0.4, 0.0, 1.0),
        renderer=bullet.ER_TINY_RENDERER, flags=bullet.ER_NO_SEGMENTATION_MASK,
        physicsClientId=client,
    )  # fmt: skip
    return pixels.view(np.uint32).reshape(size, size), depth


def _empty_table(size: int) -> NDArray[np.uint32]:
    """Image (size, size) of the table alone, from a client of its own."""
    client = bullet.connect(bullet.DIRECT)
    add_visible_table(client)
    pixels, _ = _camera_image(client, size)
    bullet.disconnect(client)
    return pixels.copy()
