"""Laws of the drawer: it stands in sight and clear, slides between its stops, stays where left."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from small_tabletop import tabletop_params

from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.drawer import DRAWERS, KNOB_HALF, SLIDE, TRAVEL_M, drawer_names
from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.layout import OBJECT_SPACING, draw_layout
from parrot_data.worlds.tabletop.motion import TRANSLATION_M
from parrot_data.worlds.tabletop.random_task import draw_random_task
from parrot_data.worlds.tabletop.tasks import OPEN_M, TASKS, Task

PARAMS = tabletop_params()
STILL = np.zeros(7, np.float32)
OBJECT_HALF_M = 0.03  # about what an object covers to either side of its center


@pytest.fixture
def env() -> Iterator[TabletopEnv]:
    """Random training scenes with a drawer."""
    made = TabletopEnv(PARAMS, lambda rng: draw_random_task(rng, "drawer", [2, 3], "train"))
    yield made
    made.close()


def slide(env: TabletopEnv, opening: float, speed: float = 0.0) -> float:
    """Set the drawer's state, take one still step, and tell how far it is open then."""
    body, client = env.scene.objects[env.task.target], env.scene.client
    bullet.resetJointState(body, SLIDE, opening, speed, physicsClientId=client)
    env.step(STILL)
    return env.scene.drawer_opening(env.task.target)


def knob_pixels(env: TabletopEnv) -> int:
    """Pixels of the image in the hue of the drawer's knob."""
    color = 255 * np.array(DRAWERS[env.task.target].knob_color[:3])
    image = env.scene.render(48).astype(np.float64)
    share = image.sum(2) / color.sum()  # how brightly the light falls on it
    return int((np.abs(image - share[..., None] * color).max(2) < 12.0).sum())


def test_the_splits_share_no_drawer_and_the_task_is_of_the_test_split() -> None:
    assert not set(drawer_names("train")) & set(drawer_names("test"))
    assert set(drawer_names("train")) | set(drawer_names("test")) == set(DRAWERS)
    assert TASKS["open-drawer"].target in drawer_names("test")


def test_a_scene_has_one_drawer_and_one_or_two_objects(env: TabletopEnv) -> None:
    seen = set()
    for index in range(40):
        env.reset(seed=index)
        assert env.task.target in drawer_names("train")
        assert not set(env.task.loose_objects) & set(DRAWERS)
        seen.add((env.task.target, len(env.task.loose_objects)))
    assert seen == {(name, count) for name in drawer_names("train") for count in (1, 2)}


@pytest.mark.parametrize("name", DRAWERS)
def test_objects_lie_clear_of_each_other_and_of_the_drawer_shut_and_open(name: str) -> None:
    rng, task = np.random.default_rng(0), Task("drawer", "drawer", (name, "bottle", "duck"), "")
    spec = DRAWERS[name]
    low = np.array([-spec.back, -spec.half_width]) - OBJECT_HALF_M
    high = np.array([KNOB_HALF[0] + TRAVEL_M, spec.half_width]) + OBJECT_HALF_M
    for _ in range(300):
        layout = draw_layout(task, rng)
        assert layout.yaws[0] == 0.0
        drawer, *objects = layout.positions
        for place in objects:
            assert not np.all((low < place - drawer) & (place - drawer < high))
        assert np.linalg.norm(objects[0] - objects[1]) >= OBJECT_SPACING


def test_the_knob_is_seen_shut_and_open(env: TabletopEnv) -> None:
    for index in range(20):
        env.reset(seed=index)
        env.scene.arm.place_at((0.22, 0.0, 0.18), 0.037)  # out of the way
        for opening in (0.0, TRAVEL_M):
            slide(env, opening)
            assert knob_pixels(env) >= 6, (index, opening)


def test_it_starts_shut_and_stays_where_it_was_left(env: TabletopEnv) -> None:
    for index, opening in enumerate((0.0, 0.02, OPEN_M - 0.001, OPEN_M, TRAVEL_M)):
        _, info = env.reset(seed=index)
        assert env.scene.drawer_opening(env.task.target) == 0.0
        assert not info["is_success"]
        assert slide(env, opening) == pytest.approx(opening, abs=1e-4)
        for _ in range(10):
            *_, info = env.step(STILL)
        assert env.scene.drawer_opening(env.task.target) == pytest.approx(opening, abs=1e-4)
        assert info["is_success"] == (opening >= OPEN_M)


def test_it_slides_along_one_axis_between_its_stops(env: TabletopEnv) -> None:
    env.reset(seed=0)
    shut = np.array(env.scene.object_position(env.task.target))
    for speed in (3.0, -3.0):
        slide(env, TRAVEL_M / 2, speed)
        for _ in range(5):
            env.step(STILL)
        opening = env.scene.drawer_opening(env.task.target)
        assert opening == pytest.approx(TRAVEL_M if speed > 0 else 0.0, abs=1e-3)
        moved = np.array(env.scene.object_position(env.task.target)) - shut
        np.testing.assert_allclose(moved, [opening, 0.0, 0.0], atol=1e-9)


def test_a_drawer_is_grasped_but_never_lifted_or_placed(env: TabletopEnv) -> None:
    env.reset(seed=0)
    x, y, height = env.scene.object_position(env.task.target)
    for z, gripper in ((height + 0.06, 1.0), (height, 1.0), (height, -1.0)):
        for _ in range(4):
            tool, _ = env.scene.tool_pose()
            move = (np.array([x, y, z]) - tool) / TRANSLATION_M
            *_, info = env.step(np.array([*move, 0, 0, 0, gripper], np.float32))
    assert (info["touched"], info["grasped"]) == (env.task.target, env.task.target)
    assert (info["lifted"], info["placed"]) == ("", "")
