"""Where things lie at the start of an episode: drawn at random, spacing enforced."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot_data.envs.tasks import Task
from parrot_data.errors import UserError

# Objects lie where the camera sees them at ten pixels or more (x forward, y left of the arm, m).
PICK_REGION = ((0.25, 0.35), (-0.075, 0.075))
PLACE_REGION = ((0.25, 0.35), (-0.11, 0.11))
OBJECT_SPACING = 0.07
CONTAINER_SPACING = 0.105
MAX_ATTEMPTS = 2000


@dataclass(frozen=True)
class Layout:
    """Start of an episode: (x, y) in m and a turn about the vertical in rad for each object.

    Attributes:
        positions: float64 (num_objects, 2), in the order of the task's objects.
        yaws: float64 (num_objects,).
        container_position: float64 (2,), or None where the task has no container.
    """

    positions: NDArray[np.float64]
    yaws: NDArray[np.float64]
    container_position: NDArray[np.float64] | None


def draw_layout(task: Task, rng: np.random.Generator) -> Layout:
    """Draw positions until every pair keeps its distance.

    Whole scenes are drawn anew rather than one object at a time, so that the accepted scenes are
    uniform among those that keep the distances.

    Raises:
        UserError: no such scene was found; the table is too small for that many objects.
    """
    region = PLACE_REGION if task.container else PICK_REGION
    low, high = np.array(region).T
    count = len(task.objects)
    for _ in range(MAX_ATTEMPTS):
        points = rng.uniform(low, high, size=(count + bool(task.container), 2))
        if _is_spaced(points, count):
            yaws = rng.uniform(-math.pi, math.pi, size=count)
            return Layout(points[:count], yaws, points[count] if task.container else None)
    raise UserError(
        f"task {task.name!r}: no room for {count} objects with the spacing asked for after "
        f"{MAX_ATTEMPTS} attempts; use fewer objects"
    )


def _is_spaced(points: NDArray[np.float64], num_objects: int) -> bool:
    """Whether objects keep OBJECT_SPACING, and CONTAINER_SPACING from a container in last place."""
    for i in range(len(points)):
        for j in range(i):
            spacing = OBJECT_SPACING if i < num_objects else CONTAINER_SPACING
            if math.hypot(*(points[i] - points[j])) < spacing:
                return False
    return True
