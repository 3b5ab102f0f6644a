"""Agents of other libraries learn through a prior, are saved, read again, and act alike."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from sb3_contrib import TQC
from stable_baselines3 import PPO, SAC
from stable_baselines3.common.env_util import make_vec_env
from stable_baselines3.common.vec_env import DummyVecEnv, SubprocVecEnv, VecEnv

from parrot_models.methods.parrot import LatentEnv
from tests.parrot_models.small_parts import save_part
from tests.toy_world import ReachEnv

OFF_POLICY = {"learning_starts": 20, "batch_size": 16, "buffer_size": 200}
AGENTS: dict[Any, dict[str, Any]] = {
    SAC: OFF_POLICY,
    TQC: {**OFF_POLICY, "top_quantiles_to_drop_per_net": 1},
    PPO: {"n_steps": 32, "batch_size": 16, "n_epochs": 1},
}


def make_toy() -> gymnasium.Env:
    return gymnasium.wrappers.TimeLimit(ReachEnv(action_dim=2, images={"camera": (32, 40)}), 30)


def make_latent(prior: Path) -> LatentEnv:
    return LatentEnv(make_toy(), prior)


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("priors") / "prior"
    return save_part("prior", ReachEnv(images={"camera": (32, 40)}).spec_of_episodes, folder)


@pytest.mark.parametrize("kind", AGENTS, ids=lambda kind: kind.__name__)
def test_an_agent_learns_is_saved_and_acts_as_before(kind: Any, prior: Path, tmp_path: Path):
    envs = make_vec_env(partial(make_latent, prior), n_envs=2, seed=0)
    values = {"policy_kwargs": {"net_arch": [8]}, "seed": 0, "device": "cpu", **AGENTS[kind]}
    agent = kind("MultiInputPolicy", envs, **values)
    before = {name: weights.clone() for name, weights in agent.policy.state_dict().items()}
    agent.learn(64)
    assert agent.num_timesteps == 64
    after = agent.policy.state_dict()
    assert any(not before[name].equal(after[name]) for name in before)
    agent.save(tmp_path / "agent.zip")
    again = kind.load(tmp_path / "agent.zip", envs, device="cpu")
    observation = envs.reset()
    actions, _ = agent.predict(observation, deterministic=True)
    np.testing.assert_array_equal(again.predict(observation, deterministic=True)[0], actions)
    assert envs.action_space.contains(actions[0])


@pytest.mark.parametrize("kind", [DummyVecEnv, partial(SubprocVecEnv, start_method="fork")])
def test_its_vectors_of_environments_are_as_single_ones(kind: Any, prior: Path) -> None:
    envs: VecEnv = kind([partial(make_latent, prior)] * 2)
    singles = [make_latent(prior) for _ in range(2)]
    envs.seed(3)
    seen = envs.reset()
    first = [single.reset(seed=3 + index)[0] for index, single in enumerate(singles)]
    actions = np.random.default_rng(0).uniform(-1, 1, (2, 2)).astype(np.float32)
    after, rewards, *_ = envs.step(actions)
    for index, single in enumerate(singles):
        observation, reward, *_ = single.step(actions[index])
        for key, expected in observation.items():
            np.testing.assert_array_equal(seen[key][index], first[index][key])
            np.testing.assert_array_equal(after[key][index], expected)
        assert rewards[index] == reward
    envs.close()
