"""Laws of the environment: purity, symmetry, gymnasium's contract, honest rewards."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from small_tabletop import tabletop_params
from stable_baselines3.common.env_checker import check_env as check_env_of_sb3

from parrot_data.errors import UserError
from parrot_data.worlds.tabletop.env import TabletopEnv
from parrot_data.worlds.tabletop.objects import object_ids
from parrot_data.worlds.tabletop.params import TabletopParams
from parrot_data.worlds.tabletop.random_task import draw_random_task
from parrot_data.worlds.tabletop.tasks import FAMILIES, TASKS, Family, Task, gymnasium_id
from parrot_data.worlds.tabletop.world import TabletopWorld

PARAMS = tabletop_params()
MakeEnv = Callable[..., TabletopEnv]


@pytest.fixture
def make_env() -> Iterator[MakeEnv]:
    """Environments of random training scenes of one family, closed when the test ends."""
    made: list[TabletopEnv] = []

    def make(family: Family, num_objects: int = 2, params: TabletopParams = PARAMS) -> TabletopEnv:
        counts = [num_objects, num_objects]
        env = TabletopEnv(
            params, lambda rng: draw_random_task(rng, family, counts, "train"), "rgb_array"
        )
        made.append(env)
        return env

    yield make
    for env in made:
        env.close()


@pytest.fixture(scope="module")
def shared_env() -> Iterator[TabletopEnv]:
    """An environment in an episode, for what must not change it."""
    env = TabletopEnv(PARAMS, lambda _rng: TASKS["pick-cup"])
    env.reset(seed=0)
    yield env
    env.close()


def trace(env: TabletopEnv, seed: int, num_steps: int = 8) -> bytes:
    """All an episode shows under fixed random actions."""
    rng = np.random.default_rng(seed)
    observation, _ = env.reset(seed=seed)
    seen = [observation["image"].tobytes(), observation["proprioception"].tobytes()]
    for _ in range(num_steps):
        observation, reward, *_ = env.step(rng.uniform(-1, 1, 7).astype(np.float32))
        seen += [observation["image"].tobytes(), observation["proprioception"].tobytes()]
        seen += [env.object_positions().tobytes(), bytes([int(reward)])]
    return b"".join(seen)


@pytest.mark.parametrize("family", FAMILIES)
def test_an_episode_depends_on_nothing_but_the_seed_of_its_reset(
    make_env: MakeEnv, family: str
) -> None:
    env, fresh = make_env(family), make_env(family)
    first = {seed: trace(env, seed) for seed in range(12)}
    assert len(set(first.values())) == len(first)
    order = list(first)
    random.Random(0).shuffle(order)
    assert all(trace(env, seed) == first[seed] for seed in order)
    assert trace(fresh, 7) == first[7]


def test_a_seed_starts_the_same_row_of_episodes_again(make_env: MakeEnv) -> None:
    env = make_env("pick")
    rows = []
    for _ in range(2):
        row = [env.reset(seed=3)[0], *(env.reset()[0] for _ in range(2))]
        rows.append([observation["image"].tobytes() for observation in row])
    assert rows[0] == rows[1]
    assert len(set(rows[0])) == 3


def test_environments_without_a_seed_show_different_scenes() -> None:
    """Two that are fresh differ as two processes do: nothing but their own entropy is drawn on."""
    seen: set[bytes] = set()
    for _ in range(2):
        envs = gymnasium.make_vec("parrot/PickCup-v0", num_envs=3)
        for _ in range(2):
            observation, _ = envs.reset()
            seen |= {image.tobytes() for image in observation["image"]}
        envs.close()
    assert len(seen) == 12


def test_seeded_environments_are_reproducible_side_by_side() -> None:
    traces = []
    for _ in range(2):
        envs = gymnasium.make_vec("parrot/PickCup-v0", num_envs=3)
        first, _ = envs.reset(seed=5)
        second, _ = envs.reset()
        envs.close()
        traces.append([image.tobytes() for seen in (first, second) for image in seen["image"]])
    assert traces[0] == traces[1]
    assert len(set(traces[0])) == 6


def test_without_a_seed_the_given_generator_decides(make_env: MakeEnv) -> None:
    images = []
    for _ in range(2):
        env = make_env("pick")
        env.np_random = np.random.default_rng(0)
        images.append(env.reset()[0]["image"])
    np.testing.assert_array_equal(*images)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("place", range(7))
def test_an_action_that_is_not_finite_is_refused(
    shared_env: TabletopEnv, place: int, value: float
) -> None:
    action = np.zeros(7, np.float32)
    action[place] = value
    with pytest.raises(ValueError, match=rf"action\[{place}\] .* is {value}"):
        shared_env.step(action)


@pytest.mark.parametrize("shape", [(), (1,), (6,), (8,), (1, 7), (7, 1)])
def test_an_action_of_another_shape_is_refused(
    shared_env: TabletopEnv, shape: tuple[int, ...]
) -> None:
    with pytest.raises(ValueError, match=r"shape \(7,\), not"):
        shared_env.step(np.zeros(shape, np.float32))


def test_a_refused_action_leaves_the_episode_as_it_was(make_env: MakeEnv) -> None:
    seen = []
    for bad in (False, True):
        env = make_env("pick")
        env.reset(seed=0)
        if bad:
            with pytest.raises(ValueError, match="not finite"):
                env.step(np.array([0, 0, 0, 0, 0, 0, np.nan], np.float32))
        seen.append(env.step(np.full(7, 0.3, np.float32))[0]["image"])
    np.testing.assert_array_equal(*seen)


def test_the_arm_is_symmetric_about_its_middle_plane(make_env: MakeEnv) -> None:
    """What the prior's augmentation rests on: mirrored actions end in the mirrored pose."""
    mirrored_action = np.array([1, -1, 1, -1, 1, -1, 1], np.float32)
    mirrored_pose = np.array([1, -1, 1, -1, 1, -1, 1, 1], np.float32)
    env, rng = make_env("pick", 1), np.random.default_rng(0)
    actions = rng.uniform(-0.4, 0.4, (5, 7)).astype(np.float32)
    actions[:, 2] = 0.4  # up and away from the object, which is not symmetric
    poses = []
    for sign in (np.ones(7, np.float32), mirrored_action):
        env.reset(seed=0)
        for action in actions:
            observation, *_ = env.step(sign * action)
        poses.append(observation["proprioception"])
    np.testing.assert_allclose(poses[1], poses[0] * mirrored_pose, atol=2e-3)


# A hand pressed on a drawer's knob shoves it open now and then.
@pytest.mark.parametrize(("family", "most"), [("pick", 2), ("place", 2), ("drawer", 5)])
def test_random_actions_hardly_ever_succeed(make_env: MakeEnv, family: str, most: int) -> None:
    env, rng = make_env(family), np.random.default_rng(0)
    num_successes = 0
    for index in range(100):
        env.reset(seed=index)
        for _ in range(25):
            _, reward, *_ = env.step(rng.uniform(-1, 1, 7).astype(np.float32))
        num_successes += int(reward)
    assert num_successes <= most


@pytest.mark.parametrize("name", ["parrot/Pick-v0", "parrot/PickCup-v0"])
@pytest.mark.parametrize("proprioception", [False, True])
def test_both_environment_checkers_pass(name: str, proprioception: bool) -> None:
    env = gymnasium.make(name, proprioception=proprioception, render_mode="rgb_array")
    with warnings.catch_warnings():
        # The checkers recommend symmetric or unbounded spaces and larger images; neither is wrong.
        warnings.simplefilter("ignore")
        check_env(env.unwrapped, skip_render_check=False)
        check_env_of_sb3(env.unwrapped)
    env.close()


@pytest.mark.parametrize("name", ["parrot/Place-v0", "parrot/PickCup-v0"])
def test_what_is_registered_shows_what_models_are_trained_on_by_default(name: str) -> None:
    env, world = gymnasium.make(name), TabletopWorld(PARAMS)
    assert env.observation_space == world.make_env("pick-cup").observation_space
    observation, _ = env.reset(seed=0)
    world.spec.check_observation(observation, name)
    env.close()


def test_a_registered_family_has_a_random_unseen_scene_at_each_reset() -> None:
    env = gymnasium.make("parrot/Pick-v0")
    seen = {tuple(env.reset(seed=seed)[1]["facts"]["objects"]) for seed in range(12)}
    env.close()
    assert len(seen) > 6
    assert {name for names in seen for name in names} <= set(object_ids("test"))


def test_registered_ids_and_images_of_any_size() -> None:
    tasks = {gymnasium_id(name): name for name in TASKS}
    assert {"parrot/PickBaseballCap-v0", "parrot/PlaceChairOnCheckerboardTable-v0"} <= set(tasks)
    for name in ("parrot/Pick-v0", "parrot/Place-v0", "parrot/Drawer-v0", *tasks):
        env = gymnasium.make(name, render_mode="rgb_array").unwrapped
        assert isinstance(env, TabletopEnv)
        env.render_size = 100
        env.reset(seed=0)
        assert env.task.name == tasks.get(name, env.task.name)
        image = env.render()
        assert image is not None
        assert image.shape == (100, 100, 3)
        assert len(np.unique(image.reshape(-1, 3), axis=0)) > 10
        env.close()


def test_truncated_after_the_steps_asked_for_and_never_terminated(make_env: MakeEnv) -> None:
    env = make_env("pick")
    env.reset(seed=0)
    ends = [env.step(np.zeros(7, np.float32))[2:4] for _ in range(25)]
    assert ends == [(False, False)] * 24 + [(False, True)]


def test_the_image_alone_is_observed_where_asked(make_env: MakeEnv) -> None:
    params = tabletop_params(image_size=32, proprioception=False, episode_steps=5)
    observation, _ = make_env("pick", params=params).reset(seed=0)
    assert set(observation) == {"image"}
    assert observation["image"].shape == (32, 32, 3)


def test_an_object_held_over_the_container_is_not_placed(make_env: MakeEnv) -> None:
    """Stricter than the authors' environment: the gripper must have let go."""
    import pybullet

    env = make_env("place")
    env.reset(seed=0)
    target, client = env.task.target, env.scene.client
    center = env.layout.container_position
    assert center is not None

    def put(height: float) -> dict[str, object]:
        pybullet.resetBasePositionAndOrientation(
            env.scene.objects[target], (*center, height), (0, 0, 0, 1), physicsClientId=client
        )
        for _ in range(12):
            *_, info = env.step(np.zeros(7, np.float32))
        return info

    assert put(0.05)["is_success"]
    pybullet.setGravity(0, 0, 0, physicsClientId=client)  # as if it were held there
    assert not put(0.12)["is_success"]


def test_a_scene_tells_of_its_present_state_however_often_it_is_asked(make_env: MakeEnv) -> None:
    env, rng = make_env("place"), np.random.default_rng(0)
    scene, seen = env.scene, set()
    for index in range(3):
        env.reset(seed=index)
        for _ in range(5):
            scene.gripper(), scene.object_position(env.task.target)
            env.step(rng.uniform(-1, 1, 7).astype(np.float32))
            assert scene.tool_pose() == scene.arm.tool_pose()
            assert scene.gripper()[:3] == scene.arm.tool_pose()[0]
            assert scene.gripper()[7] == scene.arm.opening()
            seen.add((scene.tool_pose(), scene.object_position(env.task.target)))
    assert len(seen) == 15


def test_an_unknown_task_is_named_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"'juggle'.*pick-bar"):
        TabletopWorld(PARAMS).make_env("juggle")


def test_too_many_objects_are_refused_with_a_sentence() -> None:
    crowd = Task("crowd", "pick", tuple(TASKS["pick-bar"].objects * 6), "")
    env = TabletopEnv(PARAMS, lambda _rng: crowd)
    with pytest.raises(UserError, match=r"crowd.*no room for 12 objects"):
        env.reset(seed=0)
    env.close()
