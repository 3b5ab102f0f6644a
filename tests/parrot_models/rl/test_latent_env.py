from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_fakes import EPISODE_STEPS, FakePrior, PointEnv

from parrot_models.rl.latent_env import FeatureEnv, LatentEnv


def encoded_by_hand(observation):
    images = torch.from_numpy(observation["image"])[None]
    return FakePrior().encode(images, None)


def decoded_by_hand(z, observation):
    context = encoded_by_hand(observation).context
    return FakePrior().decode(torch.from_numpy(z)[None], context)[0].numpy()


@pytest.mark.parametrize("observe", ["features", "image"])
def test_the_robot_executes_f_of_z_in_the_observation_last_seen(observe):
    plain, rng = PointEnv(), np.random.default_rng(0)
    env = LatentEnv(plain, FakePrior(), 2.0, observe)
    seen = PointEnv()
    for episode in range(2):
        env.reset(seed=3, options={"episode_index": episode})
        observation, _ = seen.reset(seed=3, options={"episode_index": episode})
        for _ in range(EPISODE_STEPS):
            z = rng.uniform(-2, 2, 7).astype(np.float32)
            expected = decoded_by_hand(z, observation)
            *_, info = env.step(z)
            assert np.array_equal(plain.executed[-1], expected)
            assert np.array_equal(info["executed_action"], expected)
            observation, *_ = seen.step(expected)


@pytest.mark.parametrize("observe", ["features", "image"])
def test_each_observation_is_encoded_once(observe):
    prior = FakePrior()
    env = LatentEnv(PointEnv(), prior, 2.0, observe)
    prior.num_encoded = 0
    for _ in range(3):
        env.reset(seed=0)
        for _ in range(EPISODE_STEPS):
            env.step(np.zeros(7, np.float32))
    assert prior.num_encoded == 3 * (EPISODE_STEPS + 1)


@pytest.mark.parametrize("with_context", [False, True])
@pytest.mark.parametrize("proprioception", [False, True])
@pytest.mark.parametrize("observe", ["features", "image"])
def test_the_agent_sees_what_was_asked_for(observe, proprioception, with_context):
    plain = PointEnv(proprioception=proprioception)
    env = LatentEnv(plain, FakePrior(), 2.0, observe, with_context=with_context)
    keys = {observe} | ({"proprioception"} if proprioception else set())
    keys |= {"context"} if with_context else set()
    first, _ = env.reset(seed=1)
    second, *_ = env.step(np.zeros(7, np.float32))
    for observation in (first, second):
        assert set(observation) == set(env.observation_space.spaces) == keys
        assert env.observation_space.contains(observation)
    encoding = encoded_by_hand(PointEnv().reset(seed=1)[0])
    if observe == "features":
        assert np.array_equal(first["features"], encoding.features[0].numpy())
    if with_context:
        assert np.array_equal(first["context"], encoding.context[0].numpy())


def test_without_a_prior_on_actions_they_are_executed_as_they_are():
    plain, prior = PointEnv(), FakePrior()
    env = FeatureEnv(plain, prior, "features", with_context=False)
    latent = LatentEnv(PointEnv(), prior, 2.0)
    assert env.observation_space == latent.observation_space
    action = np.linspace(-1, 1, 7, dtype=np.float32)
    observation, _ = env.reset(seed=5)
    other, _ = latent.reset(seed=5)
    assert np.array_equal(observation["features"], other["features"])
    *_, info = env.step(action)
    assert np.array_equal(plain.executed[-1], action)
    assert np.array_equal(info["executed_action"], action)


def test_warmup_actions_are_the_priors_own():
    env, rng = LatentEnv(PointEnv(), FakePrior(), 1.5), np.random.default_rng(0)
    z = np.array([env.sample_warmup_action(rng) for _ in range(4000)])
    clipped = np.random.default_rng(1).standard_normal(z.shape).clip(-1.5, 1.5)
    assert z.dtype == env.action_space.dtype
    assert np.abs(z).max() == 1.5
    np.testing.assert_allclose(
        np.quantile(z, np.linspace(0, 1, 11)),
        np.quantile(clipped, np.linspace(0, 1, 11)),
        atol=0.05,
    )


def test_warmup_actions_without_a_prior_are_uniform():
    env = FeatureEnv(PointEnv(), FakePrior(), "features", with_context=False)
    rng = np.random.default_rng(0)
    actions = np.array([env.sample_warmup_action(rng) for _ in range(4000)])
    deciles = np.quantile(actions, np.linspace(0, 1, 11), axis=0)
    np.testing.assert_allclose(deciles, np.linspace(-1, 1, 11)[:, None].repeat(7, 1), atol=0.08)


@pytest.mark.parametrize("with_context", [False, True])
def test_the_sac_of_stable_baselines3_runs_on_it(with_context):
    from stable_baselines3 import SAC

    env = LatentEnv(PointEnv(), FakePrior(), 2.0, with_context=with_context)
    model = SAC("MultiInputPolicy", env, learning_starts=50, batch_size=16, buffer_size=200, seed=0)
    model.learn(200)
    assert model.num_timesteps == 200
    action, _ = model.predict(env.reset(seed=0)[0], deterministic=True)
    assert env.action_space.contains(action)
