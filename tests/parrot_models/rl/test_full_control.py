"""Agents over latents that leave the box: what holds them, what they execute and learn."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from rl_fakes import EPISODE_STEPS, PARAMS, SPECS, FakePrior, PointEnv

from parrot_data.lockstep import OneEnv
from parrot_models.flows.coupling import RealNVP
from parrot_models.methods.table import METHODS, make_agent
from parrot_models.networks.device import CPU
from parrot_models.rl.full_control import INITIAL_EDIT_STD, EditedLatentView, ReferredActor
from parrot_models.rl.learner import Learner, Schedule
from parrot_models.rl.networks import Critic, Trunk
from parrot_models.rl.replay import Batch, ReplayBuffer
from parrot_models.rl.sac import SAC, Networks, actions_as_given
from parrot_models.rl.views import LatentView, Seeing, ViewedEnv

DIM = 3


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def learned_actor(std, input_dim=5):
    """An actor far from its reference, in float64."""
    actor = ReferredActor(input_dim, DIM, std, [16, 16], seeded()).double()
    for parameter in actor.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=seeded(1))
    return actor


def gaussians(actor, encoded):
    """The actor's and the reference's distributions of z."""
    mean, log_std = actor(encoded)
    std = actor.half_width
    ours = torch.distributions.Normal(std * mean, std * log_std.exp())
    return ours, torch.distributions.Normal(torch.zeros_like(mean), std.expand_as(mean))


@pytest.mark.parametrize("std", [0.5, 1.0, 2.0])
def test_log_prob_is_against_the_reference(std):
    actor, encoded = learned_actor(std), torch.randn(8, 5, generator=seeded(2)).double()
    z, log_probs = actor.sample(encoded, seeded(3))
    ours, reference = gaussians(actor, encoded)
    expected = (ours.log_prob(z) - reference.log_prob(z)).sum(-1)
    torch.testing.assert_close(log_probs, expected)
    torch.testing.assert_close(actor.mode(encoded), ours.mean)


def test_the_divergence_in_z_is_that_of_policy_and_prior_in_actions():
    """By samples of the densities that f pushes forward, each of its own inverse, not of z."""
    actor = learned_actor(0.5)
    flow = RealNVP(DIM, 2, 4, [16], 2.0).double()
    for parameter in flow.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=seeded(4))
    encoded = torch.randn(1, 5, generator=seeded(2)).double().expand(20000, 5)
    context = torch.randn(1, 2, generator=seeded(5)).double().expand(20000, 2)
    ours, reference = gaussians(actor, encoded)
    with torch.no_grad():
        actions = flow.decode(
            ours.mean + ours.stddev * torch.randn(20000, DIM, generator=seeded(6)), context
        )
        z, log_det = flow.inverse(actions, context)
        policy, prior = (each.log_prob(z).sum(-1) + log_det for each in (ours, reference))
        # Not the same by chance: f changes volumes, and what it maps is no Gaussian any more
        assert log_det.std() > 0.05
        in_actions = (policy - prior).mean()
        in_z = torch.distributions.kl_divergence(ours, reference).sum(-1)[0]
        sampled = actor.sample(encoded, seeded(7))[1].mean()
    assert in_z > 0.5
    assert in_actions.item() == pytest.approx(in_z.item(), rel=0.03)
    assert sampled.item() == pytest.approx(in_z.item(), rel=0.03)


def test_an_untrained_actor_is_its_reference():
    actor = ReferredActor(5, DIM, 0.5, [16, 16], seeded())
    z, log_probs = actor.sample(torch.randn(4000, 5, generator=seeded(1)), seeded(2))
    assert z.std().item() == pytest.approx(0.5, rel=0.03)
    assert z.mean().item() == pytest.approx(0.0, abs=0.02)
    assert log_probs.abs().mean() < 0.05
    assert z.abs().max() > 1.0, "there is no box"


def made(method, spec, **changes):
    """A method's plain environment, its view, and its agent."""
    plain, part = PointEnv(spec), FakePrior(spec)
    params = PARAMS.model_copy(update=changes)
    view = METHODS[method].make_view(plain.observation_space, part, params)
    return plain, view, make_agent(METHODS[method], params, view, part, 0)


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
@pytest.mark.parametrize("std", [0.5, 2.0])
def test_the_warm_up_is_the_reference(spec, std):
    plain, view, _ = made("parrot", spec, reference_std=std)
    env, rng = ViewedEnv(plain, view), np.random.default_rng(0)
    env.reset(seed=0)
    z = np.array([env.sample_warmup_action(rng) for _ in range(2000)])
    assert z.dtype == np.float32
    assert z.std() == pytest.approx(std, rel=0.05)
    assert np.abs(z).max() > 2.5 * std
    assert not env.warmup_mode().any()
    assert not np.isfinite(env.action_space.high).any()


@pytest.mark.parametrize("target", [0.25, 1.0])
def test_the_divergence_is_held_at_its_target(target):
    """Where every step further from the prior pays: from a temperature too high, or too low."""
    params = PARAMS.model_copy(
        update={
            "learning_rate": 1e-2, "polyak": 0.1, "initial_temperature": 1.0, "hidden": [32],
            "observation_noise": 0.0, "target_kl_per_dim": target,
        }
    )  # fmt: skip
    generator, draws = seeded(), seeded(1)
    networks = Networks(
        Trunk({"place": 2}, {}, 0),
        ReferredActor(2, DIM, 0.5, params.hidden, generator),
        Critic(2, DIM, params.hidden, 2, generator),
    )
    agent = SAC(networks, params, executed=actions_as_given, generator=generator, device=CPU)
    found = []
    for _ in range(400):
        seen = {"place": torch.randn(64, 2, generator=draws)}
        z = torch.randn(64, DIM, generator=draws)
        batch = Batch(seen, z, 2.0 * z.sum(-1), torch.zeros(64), seen)
        found.append(-agent.update(batch)["entropy"].item() / DIM)
    assert np.isfinite(found).all()
    assert found[0] == pytest.approx(0.0, abs=0.05), "it starts as the reference"
    assert np.mean(found[-100:]) == pytest.approx(target, rel=0.3)
    assert (agent.temperature > 1.0) == (target < 0.5)


def test_it_learns_in_an_environment():
    plain, view, agent = made("parrot", SPECS["vector alone"])
    replay = ReplayBuffer(
        200, observation_space=view.observation_space, action_dim=1, n_step=2, discount=0.9,
        num_lanes=1,
    )  # fmt: skip
    schedule = Schedule(
        warmup_steps=50, critic_only_updates=20, batch_size=16, utd=1.0, total_steps=200,
        final_rate=0.5,
    )  # fmt: skip
    learner = Learner(OneEnv(plain), view, agent, replay, schedule, seed=0, stores_executed=False)
    before = agent.weights()["actor.layers.0.weight"].clone()
    told = [learner.run_round()[0].info for _ in range(200 // EPISODE_STEPS)]
    assert np.isfinite([value for info in told for value in info.values()]).all()
    assert told[-1]["entropy"] < 0.1, "minus a divergence"
    assert not agent.weights()["actor.layers.0.weight"].equal(before)
    assert np.isfinite(plain.executed).all()


def test_a_widening_box_has_its_bound_of_every_moment_and_keeps_it():
    _, view, agent = made("parrot_widening", SPECS["vector alone"])
    encoded = 50 * torch.randn(500, agent.trunk.output_dim, generator=seeded(1))
    first, last = PARAMS.latent_bound, PARAMS.last_latent_bound
    for progress in (0.0, 0.25, 1.0):
        agent.widen(progress)
        largest = first + progress * (last - first)
        z = agent.sample(encoded, seeded(2))[0].abs().max().item()
        assert 0.9 * largest < z <= largest
    assert view.action_space.high[0] == last
    _, _, other = made("parrot_widening", SPECS["vector alone"])
    other.load_state_dict(agent.state_dict())
    torch.testing.assert_close(other.mode(encoded), agent.mode(encoded))
    assert agent.mode(encoded).abs().max() > first


def edited(spec, scale):
    view = EditedLatentView(
        PointEnv(spec).observation_space, FakePrior(spec), 2.0, scale, Seeing("features")
    )
    return ViewedEnv(PointEnv(spec), view)


def executed(env, action):
    *_, info = env.step(action.astype(np.float32))
    return info["executed_action"]


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_an_edit_of_scale_0_executes_f_of_z(spec):
    prior, dim = FakePrior(spec), spec.action.dim
    latent = LatentView(PointEnv(spec).observation_space, prior, 2.0, Seeing("features"))
    plain, env, rng = ViewedEnv(PointEnv(spec), latent), edited(spec, 0.0), np.random.default_rng(0)
    plain.reset(seed=0), env.reset(seed=0)
    for _ in range(EPISODE_STEPS):
        z, edit = rng.uniform(-2, 2, dim), rng.uniform(-1, 1, dim)
        assert np.array_equal(executed(env, np.concatenate([z, edit])), executed(plain, z))


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_an_edit_moves_the_action_within_its_scale_and_its_bounds(spec):
    prior, dim = FakePrior(spec), spec.action.dim
    low, high = prior.action_box()
    rng, seen = np.random.default_rng(0), set()
    for episode in range(20):
        envs = edited(spec, 0.0), edited(spec, 0.25)
        for env in envs:
            env.reset(seed=episode)
        action = np.concatenate([rng.uniform(-2, 2, dim), rng.uniform(-1, 1, dim)])
        plain, moved = (executed(env, action) for env in envs)
        wanted = plain + 0.125 * (high - low) * action[dim:]
        np.testing.assert_allclose(moved, wanted.clip(low, high), atol=1e-6)
        seen.add(bool((wanted > high).any() or (wanted < low).any()))
    assert True in seen or spec.action.low is None, "no edit met the bounds"


@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_before_learning_nothing_is_edited_and_the_actor_edits_little(spec):
    plain, view, agent = made("parrot_edit", spec, latent_bound=1.0)
    env, dim, rng = ViewedEnv(plain, view), spec.action.dim, np.random.default_rng(0)
    seen, _ = env.reset(seed=0)
    assert env.action_space.shape == (2 * dim,)
    for action in (env.sample_warmup_action(rng), env.warmup_mode()):
        assert env.action_space.contains(action)
        assert not action[dim:].any()
    actions = np.array([agent.act(seen, deterministic=False) for _ in range(500)])
    assert actions[:, dim:].std() == pytest.approx(INITIAL_EDIT_STD, rel=0.1)
    expected = np.tanh(np.random.default_rng(1).standard_normal(5000)).std()
    assert actions[:, :dim].std() == pytest.approx(expected, rel=0.15)


def test_targets_are_of_all_dimensions():
    box, free, both = (
        made(name, SPECS["vector alone"])[2] for name in ("parrot_box", "parrot", "parrot_edit")
    )
    assert (box.target_entropy, free.target_entropy, both.target_entropy) == (-1.0, -1.0, -2.0)
    assert math.isclose(made("parrot", SPECS["one image"])[2].target_entropy, -7.0)
