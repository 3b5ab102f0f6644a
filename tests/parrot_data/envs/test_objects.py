"""The library: what was measured, what is held out, how scenes keep their distances."""

from __future__ import annotations

import math

import numpy as np
import pytest

from parrot_data.envs.containers import CONTAINERS, container_names
from parrot_data.envs.layout import CONTAINER_SPACING, OBJECT_SPACING, draw_layout
from parrot_data.envs.objects import library, object_ids
from parrot_data.envs.tasks import TASKS, Task


def test_splits_share_no_object_and_every_object_was_lifted() -> None:
    train, test = set(object_ids("train")), set(object_ids("test"))
    assert not train & test
    assert len(train) >= 30
    assert len(test) >= 9
    assert min(spec.lift_rate for spec in library().values()) >= 0.8


def test_three_containers_to_train_on_and_one_held_out() -> None:
    assert len(container_names("train")) >= 3
    assert len(container_names("test")) >= 1


def test_tasks_hold_only_what_the_prior_never_saw() -> None:
    assert len(TASKS) == 9
    for name, task in TASKS.items():
        assert task.name == name
        assert len(task.objects) >= 2  # a distractor in every scene
        assert set(task.loose_objects) <= set(object_ids("test"))
        assert (task.family == "place") == bool(task.container)
        assert not task.container or CONTAINERS[task.container].split == "test"


@pytest.mark.parametrize(("container", "num_objects"), [("", 3), ("tray", 2), ("pan", 3)])
def test_layouts_keep_their_distances(container: str, num_objects: int) -> None:
    task = Task("t", "place" if container else "pick", ("0", "1", "2")[:num_objects], container)
    for seed in range(100):
        layout = draw_layout(task, np.random.default_rng(seed))
        for i, point in enumerate(layout.positions):
            assert all(math.dist(point, q) >= OBJECT_SPACING for q in layout.positions[:i])
            if layout.container_position is not None:
                assert math.dist(point, layout.container_position) >= CONTAINER_SPACING
