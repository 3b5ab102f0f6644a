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
PLACE_REGION = ((0.25, 0.35), (-0.12, 0.12))
CONTAINER_REGION = ((0.26, 0.34), (-0.10, 0.10))
OBJECT_SPACING = 0.07
CONTAINER_SPACING = 0.115  # room for a finger between the two
MAX_SCENES, MAX_PLACES = 200, 20


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
    """Draw one place after another, the container's first; where one finds no room, start anew.

    Raises:
        UserError: no such scene was found; the table is too small for that many objects.
    """
    region = PLACE_REGION if task.container else PICK_REGION
    for _ in range(MAX_SCENES):
        scene = _draw_scene(len(task.objects), bool(task.container), np.array(region), rng)
        if scene is not None:
            yaws = rng.uniform(-math.pi, math.pi, size=len(task.objects))
            return Layout(np.array(scene[0]), yaws, scene[1])
    raise UserError(
        f"task {task.name!r}: no room for {len(task.objects)} objects with the spacing asked for "
        f"after {MAX_SCENES} attempts; use fewer objects"
    )


def _draw_scene(
    num_objects: int,
    has_container: bool,
    region: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[list[NDArray[np.float64]], NDArray[np.float64] | None] | None:
    """Places of the objects and of the container; None where one of them found no room."""
    container = rng.uniform(*np.array(CONTAINER_REGION).T) if has_container else None
    placed: list[NDArray[np.float64]] = []
    for _ in range(num_objects):
        for _ in range(MAX_PLACES):
            point = rng.uniform(region[:, 0], region[:, 1])
            if _is_spaced(point, placed, container):
                placed.append(point)
                break
        else:
            return None
    return placed, container


def _is_spaced(
    point: NDArray[np.float64],
    objects: list[NDArray[np.float64]],
    container: NDArray[np.float64] | None,
) -> bool:
    """Whether a new object keeps its distance from the others and from the container."""
    if container is not None and math.dist(point, container) < CONTAINER_SPACING:
        return False
    return all(math.dist(point, other) >= OBJECT_SPACING for other in objects)
