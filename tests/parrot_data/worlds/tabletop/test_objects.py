"""The library: what was measured, what is held out, how scenes keep their distances."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from parrot_data.worlds.tabletop.containers import CONTAINERS, container_names
from parrot_data.worlds.tabletop.layout import CONTAINER_SPACING, OBJECT_SPACING, draw_layout
from parrot_data.worlds.tabletop.objects import SHAPES_FOLDER, library, object_ids
from parrot_data.worlds.tabletop.obstacles import WALL
from parrot_data.worlds.tabletop.shapes.files import meshes
from parrot_data.worlds.tabletop.shapes.solids import num_triangles
from parrot_data.worlds.tabletop.shapes.training import training_shapes
from parrot_data.worlds.tabletop.shapes.unseen import unseen_shapes
from parrot_data.worlds.tabletop.tasks import TASKS, Task

UNSEEN = {"can", "bar", "cup", "baseball_cap", "sculpture", "chair"}
TRAIN_CONTAINERS = {
    "plate", "hollow_cube", "table_top", "small_bowl", "tray", "open_box", "cube", "torus",
}  # fmt: skip


def test_splits_share_no_object_and_every_object_was_lifted() -> None:
    train, test = set(object_ids("train")), set(object_ids("test"))
    assert not train & test
    assert len(train) >= 200
    assert test >= UNSEEN
    assert len(test) >= 9
    assert min(spec.lift_rate for spec in library().values()) >= 0.8


def test_what_is_held_out_is_every_unseen_shape_and_nothing_else() -> None:
    assert set(object_ids("test")) == set(unseen_shapes())
    shapes = {name for name in object_ids("train") if not name.isdigit()}
    assert len(shapes) >= 20
    assert shapes <= set(training_shapes())


def test_an_image_of_a_shape_is_cheap() -> None:
    for name, shape in (unseen_shapes() | training_shapes()).items():
        assert num_triangles(shape) <= 160, name


def test_triangles_look_outwards() -> None:
    """The sum of signed volumes of a closed convex solid is positive only then."""
    for name, shape in training_shapes().items():
        for solid in shape[0].solids:
            middle = solid.vertices.mean(axis=0)
            for a, b, c in (solid.vertices[list(t)] - middle for t in solid.triangles):
                assert np.dot(np.cross(a, b), c) > -1e-12, name


def test_the_committed_meshes_are_those_the_code_makes() -> None:
    texts = meshes()
    assert {path.name for path in SHAPES_FOLDER.iterdir()} == set(texts)
    for name, text in texts.items():
        assert (SHAPES_FOLDER / name).read_bytes() == text.encode(), name


def test_a_shape_has_the_same_colors_in_the_table_as_in_the_code() -> None:
    shapes = unseen_shapes() | training_shapes()
    for name, spec in library().items():
        assert name.isdigit() or spec.colors == tuple(part.color for part in shapes[name]), name


def test_every_mesh_of_the_library_exists() -> None:
    for spec in [*library().values(), *CONTAINERS.values()]:
        assert all(Path(mesh).is_file() for mesh in spec.meshes)
        assert spec.meshes or spec.name in CONTAINERS  # boxes need no files


def test_containers_to_train_on_and_others_held_out() -> None:
    assert set(container_names("train")) == TRAIN_CONTAINERS
    assert set(container_names("test")) == {"pan", "basket", "checkerboard_table", "block"}


def test_tasks_hold_only_what_the_prior_never_saw() -> None:
    assert len(TASKS) == 10
    for name, task in TASKS.items():
        assert task.name == name
        assert len(task.objects) >= 2  # a distractor in every scene
        assert set(task.loose_objects) <= set(object_ids("test"))
        assert (task.family == "place") == bool(task.container)
        assert not task.container or CONTAINERS[task.container].split == "test"


def test_an_obstacle_stands_between_the_arms_start_and_the_target_alone() -> None:
    sides = set()
    for seed in range(100):
        layout = draw_layout(TASKS["pick-cup-behind-wall"], np.random.default_rng(seed))
        assert layout.obstacle_position is not None
        (target, other), wall = layout.positions[:, 1], layout.obstacle_position[1]
        sides.add(math.copysign(1.0, wall))
        assert target * wall > 0
        low, high = WALL.beyond
        assert low <= abs(target) <= high
        assert abs(target) - abs(wall) >= WALL.clearance
        assert abs(other - wall) >= WALL.clearance
        assert math.dist(*layout.positions) >= OBJECT_SPACING
    assert sides == {1.0, -1.0}


@pytest.mark.parametrize(("container", "num_objects"), [("", 3), ("tray", 2), ("pan", 3)])
def test_layouts_keep_their_distances(container: str, num_objects: int) -> None:
    task = Task("t", "place" if container else "pick", ("0", "1", "2")[:num_objects], container)
    for seed in range(100):
        layout = draw_layout(task, np.random.default_rng(seed))
        for i, point in enumerate(layout.positions):
            assert all(math.dist(point, q) >= OBJECT_SPACING for q in layout.positions[:i])
            if layout.container_position is not None:
                assert math.dist(point, layout.container_position) >= CONTAINER_SPACING
