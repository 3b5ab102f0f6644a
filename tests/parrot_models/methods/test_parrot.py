from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from rl_fakes import FakePrior, PointEnv

from parrot_data.errors import UserError
from parrot_models.methods.parrot import LatentEnv
from tests.parrot_models.small_parts import save_part
from tests.specs import ONE_IMAGE, VECTORS_ALONE, spec_of
from tests.toy_world import ReachEnv, make_world


@pytest.mark.parametrize(
    "robot",
    [
        {"action_dim": 1},
        {"action_dim": 2, "images": {"camera": (64, 64)}, "has_vectors": False},
        {"action_dim": 14, "images": {"a": (36, 52), "b": (25, 32)}, "is_bounded": False},
    ],
)
def test_any_environment_is_put_into_the_latent_space_of_a_folder(tmp_path, robot):
    world = make_world(**robot)
    folder = save_part("prior", world.spec, tmp_path / "prior")
    env = LatentEnv(world.make_env("reach-near"), folder, latent_bound=1.0)
    observation, _ = env.reset(seed=0)
    assert env.observation_space.contains(observation)
    assert env.action_space.shape == (robot["action_dim"],)
    observation, reward, *_ = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)
    assert reward in (0.0, 1.0)


def test_an_environment_that_gymnasium_made_serves_too(tmp_path):
    env = gymnasium.make("toy/Reach-v0", action_dim=4)
    folder = save_part("prior", ReachEnv(action_dim=4).spec_of_episodes, tmp_path / "prior")
    latent = LatentEnv(env, str(folder), latent_bound=1.0)
    latent.reset(seed=0)
    latent.step(np.zeros(4, np.float32))
    latent.close()


def test_an_environment_unlike_the_priors_data_is_refused(tmp_path):
    folder = save_part("prior", VECTORS_ALONE, tmp_path / "prior")
    with pytest.raises(UserError, match="observation goal is float32"):
        LatentEnv(make_world(action_dim=4).make_env("reach-near"), folder, latent_bound=1.0)
    with pytest.raises(UserError, match="observation goal is missing"):
        LatentEnv(gymnasium.make("Pendulum-v1"), folder)
    images = {"camera": (64, 64)}
    world = make_world(action_dim=4, images=images, has_vectors=False)
    other = save_part("prior", ONE_IMAGE, tmp_path / "other")
    with pytest.raises(UserError, match=r"one of 4 numbers, .* data one of 1"):
        LatentEnv(world.make_env("reach-near"), other, latent_bound=1.0)
    with pytest.raises(UserError, match="nowhere"):
        LatentEnv(world.make_env("reach-near"), tmp_path / "nowhere", latent_bound=1.0)


def test_an_observation_without_a_name_is_called_as_gymnasiums_world_calls_it(tmp_path):
    spec = spec_of(vectors={"state": 3}, action_dim=1, bounds=(-2.0, 2.0))
    env = LatentEnv(gymnasium.make("Pendulum-v1"), save_part("prior", spec, tmp_path / "prior"))
    env.reset(seed=0)
    observation, *_, info = env.step(env.action_space.sample())
    assert env.observation_space.contains(observation)
    assert observation.keys() == {"state"}
    assert info["executed_action"].shape == (1,)


def test_bounds_in_other_units_are_refused_and_unknown_ones_are_not(tmp_path):
    for bounds, name in (((-1.0, 1.0), "other"), (None, "unknown")):
        spec = spec_of(vectors={"state": 3}, action_dim=1, bounds=bounds)
        save_part("prior", spec, tmp_path / name)
    with pytest.raises(UserError, match="bounded by") as caught:
        LatentEnv(gymnasium.make("Pendulum-v1"), tmp_path / "other")
    assert "\n" not in str(caught.value)
    LatentEnv(gymnasium.make("Pendulum-v1"), tmp_path / "unknown").reset(seed=0)


@pytest.mark.parametrize("with_context", [False, True])
def test_the_sac_of_stable_baselines3_runs_on_it(with_context):
    from stable_baselines3 import SAC

    env = LatentEnv(PointEnv(), FakePrior(), 2.0, with_context=with_context)
    model = SAC("MultiInputPolicy", env, learning_starts=50, batch_size=16, buffer_size=200, seed=0)
    model.learn(200)
    assert model.num_timesteps == 200
    action, _ = model.predict(env.reset(seed=0)[0], deterministic=True)
    assert env.action_space.contains(action)
