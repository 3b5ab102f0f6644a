"""Laws of the images for people: they change nothing, and shadows lie where the lamp casts them."""

from __future__ import annotations

import numpy as np
import pytest
from small_tabletop import tabletop_params

from parrot_data.worlds.tabletop import spectator
from parrot_data.worlds.tabletop.bullet import bullet
from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.random_task import draw_random_task
from parrot_data.worlds.tabletop.spectator import LAMP, ROOM, SHADE, TABLE, Spectator
from parrot_data.worlds.tabletop.table import add_solid_table
from parrot_data.worlds.tabletop.tasks import FAMILIES, Family

SIZE = 120


def trace(family: Family, is_rendered: bool) -> list[bytes]:
    """All that three episodes show and tell, rendered at every step or never."""
    env = TabletopEnv(
        tabletop_params(),
        lambda rng: draw_random_task(rng, family, [2, 2], "test"),
        "rgb_array" if is_rendered else None,
    )
    rng, seen = np.random.default_rng(0), []
    for seed in range(3):
        observation, info = env.reset(seed=seed)
        for _ in range(12):
            if is_rendered:
                assert env.render() is not None
            seen += [observation[name].tobytes() for name in sorted(observation)]
            seen += [info["privileged"]["object_positions"].tobytes(), info["failure"].encode()]
            observation, _, _, _, info = env.step(rng.uniform(-1, 1, 7).astype(np.float32))
    env.close()
    return seen


@pytest.mark.parametrize("family", FAMILIES)
def test_an_episode_is_the_same_whether_it_is_watched_or_not(family: Family) -> None:
    assert trace(family, is_rendered=True) == trace(family, is_rendered=False)


def pixel_of(point: tuple[float, float, float]) -> tuple[int, int]:
    """Row and column at which a place in the room is seen."""
    view, projection = (np.array(m).reshape(4, 4).T for m in (spectator.VIEW, spectator.PROJECTION))
    x, y, _, w = projection @ view @ (*point, 1.0)
    return int((1 - y / w) / 2 * SIZE), int((1 + x / w) / 2 * SIZE)


def with_box(center: tuple[float, float, float] | None) -> np.ndarray:
    """An image of the table with a flat box in the air, or without."""
    client = bullet.connect(bullet.DIRECT)
    add_solid_table(client)
    if center is not None:
        shape = bullet.createVisualShape(
            bullet.GEOM_BOX, halfExtents=(0.03, 0.03, 0.002), rgbaColor=(1, 0, 0, 1),
            physicsClientId=client,
        )  # fmt: skip
        bullet.createMultiBody(0.0, -1, shape, center, physicsClientId=client)
    image = Spectator(client).image(SIZE)
    bullet.disconnect(client)
    return image


def test_an_empty_table_lies_in_the_light() -> None:
    colors = {tuple(color) for color in with_box(None).reshape(-1, 3).tolist()}
    edge = {tuple(channel) for channel in colors} - {TABLE, ROOM}
    assert {TABLE, ROOM} <= colors
    low, high = np.minimum(TABLE, ROOM), np.maximum(TABLE, ROOM)
    assert all((low <= color).all() and (color <= high).all() for color in edge)


@pytest.mark.parametrize("center", [(0.28, 0.0, 0.1), (0.33, -0.08, 0.06), (0.22, 0.08, 0.14)])
def test_a_shadow_lies_where_the_ray_through_a_body_meets_the_table(
    center: tuple[float, float, float],
) -> None:
    image, empty = with_box(center), with_box(None)
    ray = np.array(center) - LAMP
    foot = tuple(np.array(center) + ray * center[2] / -ray[2])
    assert foot[2] == pytest.approx(0.0)
    assert tuple(image[pixel_of(foot)]) == SHADE
    assert tuple(empty[pixel_of(foot)]) == TABLE
    # The box itself is seen where it is, and not in the shadow's grey
    red, green, blue = image[pixel_of(center)].astype(int)
    assert red > 100 > green == blue
    # Away from both the table is as it was
    is_same = (image == empty).all(-1)
    assert is_same.mean() > 0.8


def test_images_are_of_any_size_and_always_the_same() -> None:
    env = TabletopEnv(tabletop_params(), lambda rng: draw_random_task(rng, "pick", [2, 2], "test"))
    assert env.render() is None
    env.render_mode = "rgb_array"
    for size in (33, 64):
        env.render_size = size
        images = []
        for _ in range(2):
            env.reset(seed=1)
            images.append(env.render())
        assert images[0] is not None
        assert images[0].shape == (size, size, 3)
        np.testing.assert_array_equal(*images)
    env.close()
