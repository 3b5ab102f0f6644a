"""Random goals of a family, in scenes of a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from parrot_data.worlds.tabletop.containers import container_names
from parrot_data.worlds.tabletop.drawer import drawer_names
from parrot_data.worlds.tabletop.objects import Split, object_ids
from parrot_data.worlds.tabletop.tasks import Family, Task


def draw_random_task(
    rng: np.random.Generator, family: Family, num_objects: Sequence[int], split: Split
) -> Task:
    """Draw distinct objects of a split, and the container or drawer that the family needs.

    Args:
        rng: the episode's generator.
        family: what is to be done.
        num_objects: least and greatest number of objects in the scene, a drawer among them.
        split: which objects, containers and drawers.
    """
    count = int(rng.integers(num_objects[0], num_objects[1] + 1))
    objects = tuple(str(o) for o in rng.choice(object_ids(split), size=count, replace=False))
    container = str(rng.choice(container_names(split))) if family == "place" else ""
    if family == "drawer":
        objects = (str(rng.choice(drawer_names(split))), *objects[1:])
    return Task(family, family, objects, container)
