from __future__ import annotations

import numpy as np
import pytest
import torch
from rl_fakes import BESIDE, ONE_IMAGE, PARAMS, TWO_IMAGES, FakeClone, PointEnv

from parrot_models.methods.bc_sac import Clone
from parrot_models.methods.table import METHODS, make_agent
from parrot_models.networks.device import CPU
from parrot_models.rl.views import FEATURES, ViewedEnv


def make_parts(spec=ONE_IMAGE, **changes):
    """The clone, the env and the untrained agent of bc_sac."""
    params = PARAMS.model_copy(update={"observe": "image", **changes})
    method, clone = METHODS["bc_sac"], Clone(FakeClone(spec), *BESIDE)
    env = PointEnv(spec)
    view = method.make_view(env.observation_space, clone, params)
    return clone, ViewedEnv(env, view), make_agent(method, params, view, clone, 0)


@pytest.fixture
def parts():
    return make_parts()


def seen_at(spread, count=500):
    """Contexts, and what the agent sees beside them: keypoints of any size, and proprioception."""
    rng = np.random.default_rng(1)
    contexts = 3 + spread * rng.standard_normal((count, 2))
    keypoints = 10 * rng.standard_normal((count, 3))
    return {
        FEATURES: np.concatenate([contexts, keypoints], -1).astype(np.float32),
        "pose": (0.3 + 0.1 * rng.standard_normal((count, 8))).astype(np.float32),
    }


@pytest.mark.parametrize("is_standardized", [False, True])
@pytest.mark.parametrize("spread", [0.1, 100.0])  # the latter far from what the trunk knows
def test_the_agent_starts_as_the_clone(parts, is_standardized, spread):
    clone, _, agent = parts
    if is_standardized:
        agent.standardize_by(seen_at(0.1))
        assert (agent.trunk.std != 1).all()
    seen = {key: torch.from_numpy(values) for key, values in seen_at(spread).items()}
    mean, log_std = agent.actor(agent.trunk(seen))
    expected_mean, expected_std = clone.policy.gaussian(seen[FEATURES][:, :2])
    torch.testing.assert_close(mean, expected_mean, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(log_std.exp(), expected_std, rtol=1e-3, atol=1e-4)


def test_the_agent_draws_what_the_clone_draws(parts):
    clone, _, agent = parts
    seen = seen_at(0.1, 20)
    drawn = agent.act_each(seen, deterministic=False, generator=torch.Generator().manual_seed(3))
    noise = torch.randn(20, 7, generator=torch.Generator().manual_seed(3))
    expected = clone.decode(noise, torch.from_numpy(seen[FEATURES])[:, :2])
    np.testing.assert_allclose(drawn, expected.numpy(), atol=1e-4)


def test_learning_reaches_the_actor_and_not_the_clone(parts):
    clone, env, agent = parts
    before = {name: values.clone() for name, values in clone.policy.state_dict().items()}
    trained = {id(p) for p in agent.actor_optimizer.param_groups[0]["params"]}
    assert trained == {id(p) for p in agent.actor.layers.parameters()}
    assert all(p.requires_grad for p in agent.actor.layers.parameters())
    assert not any(p.requires_grad for p in agent.actor.cloned_layers.parameters())
    env.reset(seed=0)
    with torch.no_grad():
        for parameter in agent.actor.layers.parameters():
            parameter.add_(1.0)
    assert all(before[name].equal(v) for name, v in clone.policy.state_dict().items())
    assert agent.device == CPU


@pytest.mark.parametrize("is_standardized", [False, True])
def test_the_penalty_is_the_divergence_from_the_clone(is_standardized):
    clone, _, agent = make_parts(clone_weight=0.5)
    if is_standardized:
        agent.standardize_by(seen_at(0.1))
    seen = {key: torch.from_numpy(values) for key, values in seen_at(0.1).items()}
    encoded = agent.trunk(seen)
    assert agent.actor.penalty(encoded).item() == 0.0  # it is the clone still
    with torch.no_grad():
        agent.actor.layers[-1].bias.add_(0.1)
    mean, log_std = agent.actor(encoded)
    clone_mean, clone_std = clone.policy.gaussian(seen[FEATURES][:, :2])
    # E_actor[log actor - log clone], of Gaussians, by their definition.
    noise = torch.randn(4000, *mean.shape, generator=torch.Generator().manual_seed(0))
    drawn = mean + log_std.exp() * noise
    of_actor = -0.5 * noise**2 - log_std
    of_clone = -0.5 * ((drawn - clone_mean) / clone_std) ** 2 - clone_std.log()
    expected = 0.5 * (of_actor - of_clone).sum(-1).mean()
    torch.testing.assert_close(agent.actor.penalty(encoded), expected, rtol=0.02, atol=0)


def updated(clone_weight):
    _, env, agent = make_parts(clone_weight=clone_weight)
    observation, _ = env.reset(seed=0)
    with torch.no_grad():
        agent.actor.layers[-1].bias.add_(0.3)
    observations = {key: torch.from_numpy(v)[None] for key, v in observation.items()}
    encoded = agent.trunk(observations).detach()
    for _ in range(20):
        agent.update_actor(observations, encoded)
    return agent.actor, encoded


def test_the_weight_says_how_strongly_the_clone_holds():
    divergences = []
    for weight in (0.0, 1.0, 100.0):
        actor, encoded = updated(weight)
        actor.clone_weight = 1.0
        divergences.append(actor.penalty(encoded).item())
    assert divergences[0] > divergences[1] > divergences[2]


def test_without_a_weight_the_loss_is_that_of_sac():
    _, _, agent = make_parts(clone_weight=0.0)
    with torch.no_grad():
        agent.actor.layers[-1].bias.add_(0.3)
    assert agent.actor.penalty(torch.ones(4, 13)) == 0.0


def test_it_sees_context_and_keypoints_and_warms_up_as_the_clone(parts):
    clone, env, _ = parts
    observation, _ = env.reset(seed=2)
    assert set(observation) == {FEATURES, "pose"}
    context, keypoints = torch.from_numpy(observation[FEATURES])[None].split([2, 3], -1)
    assert torch.equal(keypoints[:, :2], -context)
    rng = np.random.default_rng(0)
    actions = np.array([env.sample_warmup_action(rng) for _ in range(3000)])
    mean, std = (values[0].numpy() for values in clone.policy.gaussian(context))
    drawn = np.arctanh(actions.astype(np.float64).clip(-1 + 1e-7, 1 - 1e-7))
    np.testing.assert_allclose(np.median(drawn, 0), mean, atol=0.1 * max(1.0, std.max()))


def test_without_bounds_the_agent_is_the_clone_in_the_robots_units():
    clone, env, agent = make_parts(TWO_IMAGES)
    observation, _ = env.reset(seed=2)
    seen = {key: np.stack([values] * 50) for key, values in observation.items()}
    drawn = agent.act_each(seen, deterministic=False, generator=torch.Generator().manual_seed(3))
    noise = torch.randn(50, 14, generator=torch.Generator().manual_seed(3))
    context = torch.from_numpy(seen[FEATURES])[:, :2]
    np.testing.assert_allclose(drawn, clone.decode(noise, context).numpy(), rtol=1e-4, atol=1e-3)
    low, high = clone.action_box()
    assert np.array_equal(env.action_space.low, low)
    assert np.ptp(high - low) > 1  # of each dimension its own
    assert (np.abs(drawn - (low + high) / 2) > 0.3 * (high - low) / 2).any()  # no tanh held it


def test_without_bounds_the_log_prob_is_that_of_the_action_scaled_by_the_box():
    clone, env, agent = make_parts(TWO_IMAGES)
    observation, _ = env.reset(seed=2)
    encoded = agent.trunk({k: torch.from_numpy(v)[None] for k, v in observation.items()})
    actions, log_probs = agent.actor.sample(encoded, torch.Generator().manual_seed(0))
    low, high = (torch.from_numpy(corner) for corner in clone.action_box())
    scaled = (actions - (low + high) / 2) / ((high - low) / 2)
    mean, log_std = agent.actor(encoded)
    expected = torch.distributions.Normal(mean / 4, log_std.exp() / 4).log_prob(scaled).sum(-1)
    torch.testing.assert_close(log_probs, expected, rtol=1e-4, atol=1e-3)
