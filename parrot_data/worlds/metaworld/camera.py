"""A camera beside Meta-World's table, which renders without a screen."""

from __future__ import annotations

import os
from typing import Any

import parrot_data.worlds.metaworld.headless  # noqa: F401  # isort: skip
import mujoco
import numpy as np
from numpy.typing import NDArray

from parrot_data.errors import UserError

# The package's own cameras stand upside down, or far away; here the arm hides little.
AZIMUTH_DEG, ELEVATION_DEG, DISTANCE_M = 150.0, -30.0, 1.1
LOOK_AT_M = (0.0, 0.62, 0.12)


class Camera:
    """Renders the scene of a model.

    Args:
        model: a task's, `mujoco.MjModel`.
        size: pixels of a side of its images.

    Raises:
        UserError: this machine cannot render without a screen.
    """

    def __init__(self, model: Any, size: int) -> None:
        try:
            self._renderer = mujoco.Renderer(model, size, size)
        except Exception as error:
            raise UserError(
                f"Meta-World cannot be rendered with MUJOCO_GL={os.environ.get('MUJOCO_GL')} "
                f"({type(error).__name__}): install EGL (libegl1), or OSMesa (libosmesa6) and set "
                "MUJOCO_GL=osmesa; or set environment.image_size to null and "
                "finetune.video_episodes to 0"
            ) from error
        self._view = mujoco.MjvCamera()
        self._view.azimuth, self._view.elevation = AZIMUTH_DEG, ELEVATION_DEG
        self._view.distance, self._view.lookat = DISTANCE_M, LOOK_AT_M

    def image(self, data: Any) -> NDArray[np.uint8]:
        """What it sees now of a scene, `mujoco.MjData`: uint8 (H, W, 3)."""
        self._renderer.update_scene(data, camera=self._view)
        return np.array(self._renderer.render(), np.uint8)

    def close(self) -> None:
        """Release what renders."""
        self._renderer.close()
