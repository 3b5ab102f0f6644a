"""The best of several draws: by the critics, no worse than one, and SAC itself where N is 1."""

from __future__ import annotations

import pytest
import torch
from rl_fakes import PARAMS

from parrot_models.networks.device import CPU
from parrot_models.rl.best_of import BestOfSAC
from parrot_models.rl.full_control import ReferredActor
from parrot_models.rl.networks import Critic, Trunk
from parrot_models.rl.replay import Batch
from parrot_models.rl.sac import SAC, Networks, actions_as_given

DIM, ROWS = 3, 64


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(kind=BestOfSAC, **changes):
    params, generator = PARAMS.model_copy(update={"observation_noise": 0.0, **changes}), seeded()
    networks = Networks(
        Trunk({"place": 2}, {}, 0),
        ReferredActor(2, DIM, 0.5, params.hidden, generator),
        Critic(2, DIM, params.hidden, 2, generator),
    )
    return kind(networks, params, executed=actions_as_given, generator=seeded(1), device=CPU)


def values(agent, encoded, actions):
    return agent.critic(encoded, actions).amin(0)


@pytest.mark.parametrize("candidates", [1, 2, 16])
def test_it_is_the_most_valued_of_what_the_actor_draws(candidates):
    agent, encoded = made(candidates=candidates), torch.randn(ROWS, 2, generator=seeded(2))
    best, log_probs = agent.sample(encoded, seeded(3))
    repeated = encoded.repeat_interleave(candidates, 0)
    drawn, drawn_log_probs = agent.actor.sample(repeated, seeded(3))
    by_row = values(agent, repeated, drawn).view(ROWS, candidates)
    torch.testing.assert_close(values(agent, encoded, best), by_row.amax(1))
    rows = torch.arange(ROWS)
    torch.testing.assert_close(best, drawn.view(ROWS, candidates, DIM)[rows, by_row.argmax(1)])
    expected = drawn_log_probs.view(ROWS, candidates)[rows, by_row.argmax(1)]
    torch.testing.assert_close(log_probs, expected)


@pytest.mark.parametrize("candidates", [2, 16])
def test_without_chance_it_is_no_worse_than_the_mode_and_always_the_same(candidates):
    agent, encoded = made(candidates=candidates), torch.randn(ROWS, 2, generator=seeded(2))
    chosen, plain = agent.mode(encoded), agent.actor.mode(encoded)
    assert (values(agent, encoded, chosen) >= values(agent, encoded, plain)).all()
    assert not chosen.equal(plain)
    assert chosen.equal(agent.mode(encoded))
    assert chosen.equal(made(candidates=candidates).mode(encoded))


def test_of_one_it_is_plain_sac():
    plain, single = made(SAC), made(candidates=1)
    single.generator.set_state(plain.generator.get_state())
    draws = seeded(4)
    for _ in range(5):
        seen = {"place": torch.randn(ROWS, 2, generator=draws)}
        z = torch.randn(ROWS, DIM, generator=draws)
        batch = Batch(seen, z, z.sum(-1), torch.full((ROWS,), 0.9), seen)
        for agent in (plain, single):
            agent.update(batch)
    for name, weight in plain.weights().items():
        assert weight.equal(single.weights()[name]), name
    encoded = torch.randn(ROWS, 2, generator=draws)
    assert single.mode(encoded).equal(plain.mode(encoded))


def test_targets_are_values_of_the_best():
    agent = made(candidates=8)
    seen = {"place": torch.randn(ROWS, 2, generator=seeded(5))}
    zeros = torch.zeros(ROWS)
    batch = Batch(seen, torch.zeros(ROWS, DIM), zeros, zeros + 1, seen)
    state = agent.generator.get_state()
    targets = agent.critic_targets(batch)
    agent.generator.set_state(state)
    encoded = agent.trunk(seen)
    best, log_probs = agent.sample(encoded, agent.generator)
    expected = agent.target_critic(encoded, best).amin(0) - agent.temperature * log_probs
    torch.testing.assert_close(targets, expected.detach())


def test_critics_of_executed_actions_are_refused():
    networks = Networks(
        Trunk({"place": 2}, {}, 0),
        ReferredActor(2, DIM, 0.5, PARAMS.hidden, seeded()),
        Critic(2, DIM, PARAMS.hidden, 2, seeded()),
    )
    with pytest.raises(ValueError, match="candidates"):
        BestOfSAC(networks, PARAMS, executed=lambda z, _: z, generator=seeded(), device=CPU)
