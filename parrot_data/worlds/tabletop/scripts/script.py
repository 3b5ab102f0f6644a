"""The script for a task: which policy solves it, and how it varies from episode to episode."""

from __future__ import annotations

import numpy as np

from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.scripts.drawer import DrawerPolicy, draw_drawer_style
from parrot_data.worlds.tabletop.scripts.grasp import (
    GraspPolicy,
    GraspVariety,
    draw_grasp_style,
    over_obstacle,
)
from parrot_data.worlds.tabletop.scripts.place import PlacePolicy, draw_place_style

# A grasp alone has time to spare.
VARIETY = GraspVariety(min_speed=0.3, max_detour_steps=5, min_detour_height=0.03, max_stumbles=1)


def make_script(
    env: TabletopEnv, rng: np.random.Generator
) -> GraspPolicy | PlacePolicy | DrawerPolicy:
    """The scripted policy for an environment's present task.

    Args:
        env: as it was just reset.
        rng: source of the variation.
    """
    task, scene, container_position = env.task, env.scene, env.layout.container_position
    if task.family == "drawer":
        return DrawerPolicy(scene, task.target, draw_drawer_style(scene, task.target, rng))
    if container_position is None:
        style = draw_grasp_style(scene, task.target, VARIETY, rng)
        if task.obstacle:
            style = over_obstacle(style, scene, task.target)
        return GraspPolicy(scene, task.target, style)
    place = draw_place_style(scene, task.target, rng)
    return PlacePolicy(scene, task.target, task.container, container_position, place)
