from __future__ import annotations

import numpy as np
import pytest
import torch
from processors import PROCESSORS, processor
from rl_fakes import PARAMS

from parrot_models.networks.device import CPU
from parrot_models.networks.precision import products_in, products_of
from parrot_models.rl.networks import Actor, Critic, Trunk
from parrot_models.rl.replay import Batch
from parrot_models.rl.sac import SAC, Networks, actions_as_given

WIDTH = 2  # of features and of actions


def make_agent(seed=0, *, encoders=None, executed=actions_as_given, **changes):
    generator = torch.Generator().manual_seed(seed)
    trunk = Trunk({"features": WIDTH}, encoders or {}, 4 if encoders else 0)
    box = torch.full((WIDTH,), -2.0), torch.full((WIDTH,), 2.0)
    actor = Actor(trunk.output_dim, *box, [32, 32], 0.5, generator)
    critic = Critic(trunk.output_dim, WIDTH, [32, 32], 2, generator)
    values = {
        "learning_rate": 3e-3, "polyak": 0.1, "initial_temperature": 0.05,
        "target_entropy_per_dim": -2.0, "observation_noise": 0.0,
    }  # fmt: skip
    return SAC(
        Networks(trunk, actor, critic), PARAMS.model_copy(update=values | changes),
        executed=executed, generator=generator, device=CPU,
    )  # fmt: skip


def with_encoder(seed=0):
    torch.manual_seed(seed)
    encoder = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 4))
    return make_agent(encoders={"image": encoder})


def make_batch(size=16, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def observe():
        return {
            "features": torch.randn(size, 2, generator=generator),
            "image": torch.randn(size, 2, 2, 3, generator=generator),
        }

    return Batch(
        observations=observe(),
        actions=torch.randn(size, 2, generator=generator),
        returns=torch.randn(size, generator=generator),
        discounts=torch.full((size,), 0.9),
        next_observations=observe(),
    )


def copied(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def is_unchanged(module, before):
    return all(a.equal(b) for a, b in zip(module.parameters(), before, strict=True))


def test_only_the_critics_loss_reaches_critics_and_encoder():
    agent, batch = with_encoder(), make_batch()
    actor, trunk, critic = map(copied, (agent.actor, agent.trunk, agent.critic))
    agent.update_critic(batch, agent.trunk(batch.observations))
    assert is_unchanged(agent.actor, actor)
    assert not is_unchanged(agent.trunk.encoders, trunk)
    assert not is_unchanged(agent.critic, critic)


def test_only_the_actors_loss_reaches_the_actor():
    agent, batch = with_encoder(), make_batch()
    actor, trunk, critic = map(copied, (agent.actor, agent.trunk, agent.critic))
    agent.update_actor(batch.observations, agent.trunk(batch.observations).detach())
    assert not is_unchanged(agent.actor, actor)
    assert is_unchanged(agent.trunk, trunk)
    assert is_unchanged(agent.critic, critic)


def test_a_critic_only_update_leaves_actor_and_temperature_alone():
    agent, batch = make_agent(), make_batch()
    actor, critic, temperature = copied(agent.actor), copied(agent.critic), agent.temperature
    agent.update(batch, critic_only=True)
    assert is_unchanged(agent.actor, actor)
    assert agent.temperature == temperature
    assert not is_unchanged(agent.critic, critic)


def test_observation_noise_is_what_updates_see_and_acting_does_not():
    quiet, noisy = make_agent(), make_agent(observation_noise=0.5)
    observation = {"features": np.ones(2, np.float32)}
    assert (
        quiet.act(observation, deterministic=True) == noisy.act(observation, deterministic=True)
    ).all()
    batch = make_batch()
    assert quiet.update(batch)["critic_loss"] != noisy.update(batch)["critic_loss"]


def test_critic_targets_are_soft_and_clipped():
    agent, batch = make_agent(), make_batch()
    for parameter in agent.critic.parameters():  # only the target critics may matter
        torch.nn.init.normal_(parameter)
    state = agent.generator.get_state()
    targets = agent.critic_targets(batch)
    agent.generator.set_state(state)
    encoded = agent.trunk(batch.next_observations)
    actions, log_probs = agent.actor.sample(encoded, agent.generator)
    first, second = agent.target_critic(encoded, actions)
    soft = torch.minimum(first, second) - 0.05 * log_probs
    torch.testing.assert_close(targets, batch.returns + 0.9 * soft)


def test_nothing_is_bootstrapped_beyond_a_termination():
    batch = make_batch()
    ended = Batch(**{**vars(batch), "discounts": torch.zeros(16)})
    assert make_agent().critic_targets(ended).equal(batch.returns)


def test_target_critics_follow_by_polyak():
    agent = make_agent()
    for parameter in agent.critic.parameters():
        torch.nn.init.normal_(parameter)
    before = copied(agent.target_critic)
    agent.update_target()
    expected = [
        0.9 * old + 0.1 * new for old, new in zip(before, agent.critic.parameters(), strict=True)
    ]
    torch.testing.assert_close(copied(agent.target_critic), expected)


@pytest.mark.parametrize(("entropy", "direction"), [(-9.0, 1), (3.0, -1)])
def test_temperature_moves_towards_the_target_entropy(entropy, direction):
    agent = make_agent()
    before = agent.temperature
    assert before == pytest.approx(0.05)
    info = agent.update_temperature(torch.tensor(entropy))
    assert (agent.temperature - before) * direction > 0
    assert info["temperature"] == agent.temperature


def test_temperature_gradient_is_that_of_the_dual_loss():
    agent = make_agent()
    agent.update_temperature(torch.tensor(1.5))
    log_temperature = torch.tensor(np.log(0.05), requires_grad=True)
    (log_temperature.exp() * (1.5 + 4.0)).backward()
    assert agent.log_temperature.grad.item() == pytest.approx(log_temperature.grad.item())


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_agent_solves_a_continuous_task(sign):
    """One step, reward highest where the executed action equals the features."""

    def executed(actions, _observations):
        return sign * actions

    agent = make_agent(executed=executed)
    rng = np.random.default_rng(0)

    def observe(size):
        return rng.uniform(-1, 1, (size, 2)).astype(np.float32)

    for _ in range(600):
        places, moves = observe(64), rng.uniform(-2, 2, (64, 2)).astype(np.float32)
        seen = {"features": torch.from_numpy(places)}
        returns = torch.from_numpy(-np.square(moves - places).sum(-1))
        moves_seen = torch.from_numpy(moves)
        agent.update(Batch(seen, moves_seen, returns, torch.zeros(64), seen))
    places = observe(50)
    chosen = [agent.act({"features": place}, deterministic=True) for place in places]
    error = np.abs(sign * np.array(chosen) - places).mean()
    assert error < 0.1  # 1.1 for uniform actions


def test_acting_is_repeatable_and_exploring_is_not():
    agent, observation = make_agent(), {"features": np.ones(2, np.float32)}
    first = agent.act(observation, deterministic=True)
    assert np.array_equal(first, agent.act(observation, deterministic=True))
    explored = agent.act(observation, deterministic=False)
    assert not np.array_equal(explored, agent.act(observation, deterministic=False))
    drawn = [
        agent.act(observation, deterministic=False, generator=torch.Generator().manual_seed(3))
        for _ in range(2)
    ]
    assert np.array_equal(*drawn)


def test_a_restored_agent_learns_on_bit_for_bit():
    original = with_encoder()
    for seed in range(5):
        original.update(make_batch(seed=seed))
    saved = original.state_dict()
    kept = {key: tensor.clone() for key, tensor in saved["weights"].items()}
    restored = with_encoder(seed=1)
    restored.load_state_dict(saved)
    for seed in range(5, 8):
        infos = [agent.update(make_batch(seed=seed)) for agent in (original, restored)]
        assert infos[0] == infos[1]
    for name, tensor in original.weights().items():
        assert tensor.equal(restored.weights()[name])
    assert any(not kept[name].equal(tensor) for name, tensor in original.weights().items())


def test_weights_carry_the_whole_behaviour():
    original, other = with_encoder(), with_encoder(seed=1)
    original.update(make_batch())
    original.trunk.standardize_by(make_batch().observations)
    other.load_weights(original.weights())
    rng = np.random.default_rng(0)
    observation = {
        "features": rng.standard_normal(2, np.float32),
        "image": rng.standard_normal((2, 2, 3), np.float32),
    }
    expected = original.act(observation, deterministic=True)
    assert np.array_equal(other.act(observation, deterministic=True), expected)


@pytest.mark.parametrize("can", PROCESSORS.values(), ids=PROCESSORS)
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_precision_is_the_updates_own(precision, can, monkeypatch):
    during = []

    def how():
        return torch.get_float32_matmul_precision(), torch.is_autocast_enabled("cpu")

    def executed(actions, _observations):
        during.append(how())
        return actions

    processor(monkeypatch, *can)
    before = how()
    make_agent(precision=precision, executed=executed).update(make_batch())
    wanted = {"float32": ("highest", False), "matmul": ("medium", False)}
    wanted["autocast"] = ("highest", True)
    assert set(during) == {wanted[products_of(precision, CPU)]}
    assert how() == before


@pytest.mark.parametrize("can", PROCESSORS.values(), ids=PROCESSORS)
def test_what_a_processor_can_changes_an_update_by_rounding_alone(can, monkeypatch):
    processor(monkeypatch, *can)
    exact, rounded = make_agent(precision="fp32"), make_agent(precision="bf16")
    before = {name: weight.clone() for name, weight in exact.weights().items()}
    for seed in range(3):
        wanted, found = (agent.update(make_batch(seed=seed)) for agent in (exact, rounded))
        for name, value in wanted.items():
            assert found[name].dtype == value.dtype
            torch.testing.assert_close(found[name], value, rtol=0.05, atol=0.05)
    for name, weight in exact.weights().items():
        moved = (weight - before[name]).norm()
        assert (rounded.weights()[name] - weight).norm() <= 0.5 * moved + 1e-6


def test_values_and_deviations_are_finer_than_bfloat16(monkeypatch):
    processor(monkeypatch, *PROCESSORS["AVX512_BF16"])
    agent, batch = make_agent(precision="bf16"), make_batch()
    with products_in("bf16", CPU):
        encoded = agent.trunk(batch.observations)
        values = agent.critic(encoded, batch.actions)
        outputs = (values, *agent.actor(encoded))
    for output in outputs:
        assert output.dtype == torch.float32
        assert not output.bfloat16().float().equal(output)
