"""The spectator: images of a scene for people, from the side, with shadows and smooth edges.

No policy ever sees them: what agents see is `camera`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.table import TABLE_CENTER, TABLE_HALF_M

# Beside the arm and above the workspace: heights, which the agent's own view hardly shows.
TARGET, DISTANCE_M, YAW, PITCH, FIELD_OF_VIEW = (0.28, -0.01, 0.085), 0.54, 56.0, -25.0, 42.0
VIEW = bullet.computeViewMatrixFromYawPitchRoll(TARGET, DISTANCE_M, YAW, PITCH, 0, 2)
PROJECTION = bullet.computeProjectionMatrixFOV(FIELD_OF_VIEW, 1.0, 0.05, 2.5)
# The lamp, far away so that its rays are nearly parallel, and what it sees of the table.
LAMP, LAMP_SIZE = (1.45, 0.95, 2.6), 512
LAMP_VIEW = bullet.computeViewMatrix(LAMP, (0.2, 0.0, 0.0), (0.0, 0.0, 1.0))
LAMP_PROJECTION = bullet.computeProjectionMatrixFOV(19.0, 1.0, 1.5, 5.0)
FULL_SHADE, PENUMBRA = 255, ImageFilter.BoxBlur(1.5)  # radius in its pixels
NOTHING_DEPTH = 0.99999  # depth buffer where no body is
SMOOTHING = 2  # pixels drawn for one shown, along each side
TABLE, SHADE, ROOM = (214, 209, 200), (160, 154, 146), (240, 242, 245)  # RGB


@dataclass(frozen=True)
class _Backdrop:
    """What never changes in images of one size, of (side, side) pixels.

    Attributes:
        lit: int16 (side, side, 3), the empty table in light.
        darkening: int16 (side, side, 3), what a shadow takes off.
        lamp_pixel: which pixel of the lamp's image, row by row, shows the same place of the table.
    """

    lit: NDArray[np.int16]
    darkening: NDArray[np.int16]
    lamp_pixel: NDArray[np.int64]


class Spectator:
    """Looks at one physics client, whose own table cannot be seen (`add_solid_table`)."""

    def __init__(self, client: int) -> None:
        """Look at a client."""
        self._client = client
        self._backdrops: dict[int, _Backdrop] = {}  # by side

    def image(self, size: int) -> NDArray[np.uint8]:
        """RGB image, uint8 (size, size, 3).

        The table is never drawn: where a pixel shows it is known, and whether it lies in shadow
        says the lamp's own image of the bodies. Drawing it would take several times as long.
        """
        side = SMOOTHING * size
        if side not in self._backdrops:
            self._backdrops[side] = _backdrop(side)
        backdrop = self._backdrops[side]
        _, lamp_depth = self._drawn(LAMP_SIZE, LAMP_VIEW, LAMP_PROJECTION)
        pixels, depth = self._drawn(side, VIEW, PROJECTION)
        bodies = Image.fromarray((lamp_depth < NOTHING_DEPTH).astype(np.uint8) * FULL_SHADE)
        shade = np.array(bodies.filter(PENUMBRA), np.int16).ravel()[backdrop.lamp_pixel]
        table = backdrop.lit - backdrop.darkening * shade[..., None] // FULL_SHADE
        image = np.where((depth < NOTHING_DEPTH)[..., None], pixels, table).astype(np.uint8)
        return np.array(Image.fromarray(image).reduce(SMOOTHING))

    def _drawn(
        self, side: int, view: tuple[float, ...], projection: tuple[float, ...]
    ) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
        """RGB (side, side, 3) and depth buffer (side, side) of the bodies."""
        # What the camera leaves as it is must be left here too, such as the strength of the light:
        # Bullet keeps it for the next image, and what agents see would be another.
        _, _, pixels, depth, _ = bullet.getCameraImage(
            side, side, view, projection, shadow=0, lightDirection=LAMP,
            renderer=bullet.ER_TINY_RENDERER, flags=bullet.ER_NO_SEGMENTATION_MASK,
            physicsClientId=self._client,
        )  # fmt: skip
        return pixels.reshape(side, side, 4)[..., :3], depth.reshape(side, side)


def _backdrop(side: int) -> _Backdrop:
    """Where each pixel meets the table, and what the lamp sees there."""
    centers = (np.arange(side) + 0.5) / side * 2 - 1
    across, up = np.meshgrid(centers, -centers)
    flat = np.full_like(across, 1.0)
    unproject = np.linalg.inv(_matrix(PROJECTION) @ _matrix(VIEW))
    near, far = (
        _divided(unproject @ np.stack([across, up, z * flat, flat]).reshape(4, -1)) for z in (-1, 1)
    )
    share = near[2] / (near[2] - far[2])  # of the way, where height is 0: the table's top
    place = near + share * (far - near)
    middle, half = np.array(TABLE_CENTER), np.array(TABLE_HALF_M)
    is_table = (share > 0) & (np.abs(place - middle[:, None])[:2] <= half[:2, None]).all(0)
    lamp = _divided(
        _matrix(LAMP_PROJECTION) @ _matrix(LAMP_VIEW) @ np.vstack([place, np.ones(side * side)])
    )
    columns, rows = (
        ((1 + sign * axis) / 2 * LAMP_SIZE).astype(np.int64)
        for sign, axis in ((1, lamp[0]), (-1, lamp[1]))
    )
    is_seen = is_table & (np.abs(lamp[:2]) < 1).all(0)
    lit = np.where(is_table[:, None], TABLE, ROOM).astype(np.int16)
    darkening = np.where(is_seen[:, None], np.subtract(TABLE, SHADE), 0).astype(np.int16)
    lamp_pixel = np.where(is_seen, rows * LAMP_SIZE + columns, 0)
    shape = (side, side, 3)
    return _Backdrop(lit.reshape(shape), darkening.reshape(shape), lamp_pixel.reshape(side, side))


def _matrix(columns: tuple[float, ...]) -> NDArray[np.float64]:
    """A matrix of OpenGL's, which lists columns."""
    return np.array(columns).reshape(4, 4).T


def _divided(points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Places (3, N) of homogeneous ones (4, N)."""
    places: NDArray[np.float64] = points[:3] / points[3]
    return places
