"""Where things lie at the start of an episode: drawn at random, spacing enforced."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from parrot_data.errors import UserError
from parrot_data.worlds.tabletop.drawer import DRAWERS
from parrot_data.worlds.tabletop.obstacles import OBSTACLES
from parrot_data.worlds.tabletop.tasks import Task

Point = tuple[float, float]  # (x, y), m
Region = tuple[tuple[float, float], tuple[float, float]]  # bounds of x and of y, m

# Objects lie where the camera sees them at ten pixels or more (x forward, y left of the arm, m).
PICK_REGION = ((0.25, 0.35), (-0.075, 0.075))
PLACE_REGION = ((0.25, 0.35), (-0.12, 0.12))
CONTAINER_REGION = ((0.26, 0.34), (-0.10, 0.10))
DRAWER_REGION = ((0.265, 0.305), (-0.08, 0.08))  # of its knob
OBSTACLE_X, BEHIND_X = 0.30, (0.27, 0.33)  # of an obstacle, and of a target behind it
EVERYWHERE = (-math.inf, math.inf)
OBJECT_SPACING = 0.07
CONTAINER_SPACING = 0.115  # room for a finger between the two
DRAWER_SPACING = 0.04  # of an object's center from what the drawer covers, shut or open
MAX_SCENES, MAX_PLACES = 200, 20


@dataclass(frozen=True)
class Layout:
    """Start of an episode: (x, y) in m and a turn about the vertical in rad for each object.

    Attributes:
        positions: float64 (num_objects, 2), in the order of the task's objects; a drawer's is that
            of its knob when it is shut.
        yaws: float64 (num_objects,); a drawer's is 0, which is how it stands.
        container_position: float64 (2,), or None where the task has no container.
        obstacle_position: the same of an obstacle.
    """

    positions: NDArray[np.float64]
    yaws: NDArray[np.float64]
    container_position: NDArray[np.float64] | None
    obstacle_position: NDArray[np.float64] | None = None


def draw_layout(task: Task, rng: np.random.Generator) -> Layout:
    """Draw one place after another, what stands still first; where one finds no room, start anew.

    Raises:
        UserError: no such scene was found; the table is too small for that many objects.
    """
    for _ in range(MAX_SCENES):
        scene = _draw_scene(task, rng)
        if scene is not None:
            yaws = rng.uniform(-math.pi, math.pi, size=len(task.objects))
            if task.family == "drawer":
                yaws[0] = 0.0
            container, obstacle = (None if at is None else np.array(at) for at in scene[1:])
            return Layout(np.array(scene[0]), yaws, container, obstacle)
    raise UserError(
        f"task {task.name!r}: no room for {len(task.objects)} objects with the spacing asked for "
        f"after {MAX_SCENES} attempts; use fewer objects"
    )


def _draw_scene(
    task: Task, rng: np.random.Generator
) -> tuple[list[Point], Point | None, Point | None] | None:
    """Places of objects, container and obstacle; None where an object found no room."""
    region = PICK_REGION if task.family == "pick" else PLACE_REGION
    container = _draw_point(CONTAINER_REGION, rng) if task.container else None
    placed: list[Point] = []
    obstacle: Point | None = None
    clear: Region | None = None
    if task.family == "drawer":
        placed.append(_draw_point(DRAWER_REGION, rng))
        clear = DRAWERS[task.target].clearance(placed[0], DRAWER_SPACING)
    if task.obstacle:
        spec = OBSTACLES[task.obstacle]
        side = 1.0 if rng.random() < 0.5 else -1.0
        obstacle = (OBSTACLE_X, side * spec.distance)
        x, y = _draw_point((BEHIND_X, spec.beyond), rng)
        placed.append((x, side * y))
        clear = (EVERYWHERE, (obstacle[1] - spec.clearance, obstacle[1] + spec.clearance))
    for _ in task.objects[len(placed) :]:
        for _ in range(MAX_PLACES):
            point = _draw_point(region, rng)
            if _is_spaced(point, placed, container) and not _is_within(point, clear):
                placed.append(point)
                break
        else:
            return None
    return placed, container, obstacle


def _draw_point(region: Region, rng: np.random.Generator) -> Point:
    # A crowded scene takes two hundred, and `rng.uniform` ten times as long for each.
    (x_low, x_high), (y_low, y_high) = region
    return x_low + (x_high - x_low) * rng.random(), y_low + (y_high - y_low) * rng.random()


def _is_within(point: Point, region: Region | None) -> bool:
    if region is None:
        return False
    return all(low < at < high for at, (low, high) in zip(point, region, strict=True))


def _is_spaced(point: Point, objects: list[Point], container: Point | None) -> bool:
    """Whether a new object keeps its distance from the others and from the container."""
    if container is not None and math.dist(point, container) < CONTAINER_SPACING:
        return False
    for other in objects:  # noqa: SIM110 - a generator takes twice as long
        if math.dist(point, other) < OBJECT_SPACING:
            return False
    return True
