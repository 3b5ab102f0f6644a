"""Environments side by side in the latent space: as single ones, whoever resets them when."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AsyncVectorEnv, AutoresetMode, SyncVectorEnv

from parrot_data.errors import UserError
from parrot_models.methods.parrot import LatentEnv, LatentVectorEnv
from tests.parrot_models.small_parts import save_part
from tests.specs import VECTORS_ALONE, spec_of
from tests.toy_world import ReachEnv

NUM_ENVS, NUM_STEPS = 3, 20
LIMITS = (4, 7, 30)  # they end at different times


def make_toy(max_steps: int = 30) -> gymnasium.Env:
    env = ReachEnv(action_dim=2, images={"camera": (32, 40)}, speed=0.1)
    return gymnasium.wrappers.TimeLimit(env, max_steps)


@pytest.fixture(scope="module")
def prior(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("priors") / "prior"
    return save_part("prior", make_toy().unwrapped.spec_of_episodes, folder)


def latents(rows: int = NUM_STEPS) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(-1, 1, (rows, NUM_ENVS, 2)).astype(np.float32)


def close(one: dict, other: dict) -> bool:
    assert one.keys() == other.keys()
    return all(np.allclose(one[key], other[key], atol=1e-5) for key in one)


def row_of(batch: dict, index: int) -> dict:
    return {key: values[index] for key, values in batch.items()}


class ByHand:
    """A single latent environment that is reset as a mode of autoreset says."""

    def __init__(self, env: LatentEnv, mode: AutoresetMode) -> None:
        self.env, self.mode, self.is_over = env, mode, False

    def step(self, z: np.ndarray) -> tuple:
        if self.is_over:
            self.is_over = False
            return self.env.reset()[0], 0.0, False, None, None
        seen, reward, terminated, truncated, info = self.env.step(z)
        is_over, final = terminated or truncated, None
        self.is_over = is_over and self.mode == AutoresetMode.NEXT_STEP
        if is_over and self.mode == AutoresetMode.SAME_STEP:
            seen, final = self.env.reset()[0], seen
        return seen, reward, is_over, info["executed_action"], final


@pytest.mark.parametrize("mode", [AutoresetMode.NEXT_STEP, AutoresetMode.SAME_STEP])
@pytest.mark.parametrize("make_vector", [SyncVectorEnv, partial(AsyncVectorEnv, context="fork")])
def test_they_are_as_single_ones(make_vector: Callable, mode: AutoresetMode, prior: Path) -> None:
    made = make_vector([partial(make_toy, limit) for limit in LIMITS], autoreset_mode=mode)
    env = LatentVectorEnv(made, prior)
    singles = [ByHand(LatentEnv(make_toy(limit), prior), mode) for limit in LIMITS]
    seen, _ = env.reset(seed=5)
    assert env.observation_space.contains(seen)
    for index, single in enumerate(singles):
        assert close(row_of(seen, index), single.env.reset(seed=5 + index)[0])
    num_ended = 0
    for actions in latents():
        seen, rewards, terminated, truncated, info = env.step(actions)
        for index, single in enumerate(singles):
            observation, reward, is_over, executed, final = single.step(actions[index])
            assert close(row_of(seen, index), observation)
            assert (rewards[index], terminated[index] | truncated[index]) == (reward, is_over)
            assert info["_executed_action"][index] == (executed is not None)
            if executed is not None:
                np.testing.assert_allclose(info["executed_action"][index], executed, atol=1e-5)
            if final is not None:
                assert close(info["final_obs"][index], final)
            num_ended += is_over
    assert num_ended > NUM_ENVS
    env.close()


def test_environments_that_are_reset_by_hand_go_on_where_they_are(prior: Path) -> None:
    made = SyncVectorEnv([make_toy] * NUM_ENVS, autoreset_mode=AutoresetMode.DISABLED)
    env, alone = LatentVectorEnv(made, prior), LatentEnv(make_toy(), prior)
    env.reset(seed=5)
    alone.reset(seed=6)  # as the second of them
    first, second, *_ = latents()
    env.step(first)
    alone.step(first[1])
    env.reset(options={"reset_mask": np.array([True, False, False])})
    seen, *_ = env.step(second)
    assert close(row_of(seen, 1), alone.step(second[1])[0])


def test_a_plain_vector_gets_its_name(tmp_path: Path) -> None:
    spec = spec_of(vectors={"state": 3}, action_dim=1, bounds=(-2.0, 2.0))
    vector = gymnasium.make_vec("Pendulum-v1", num_envs=2, vectorization_mode="sync")
    env = LatentVectorEnv(vector, save_part("prior", spec, tmp_path / "prior"))
    env.reset(seed=0)
    seen, *_ = env.step(env.action_space.sample())
    assert seen["state"].shape == (2, 3)
    assert env.observation_space.contains(seen)


def test_environments_unlike_the_priors_data_are_refused(tmp_path: Path) -> None:
    folder = save_part("prior", VECTORS_ALONE, tmp_path / "prior")
    vector = SyncVectorEnv([make_toy] * 2)
    with pytest.raises(UserError, match="observation camera is uint8") as caught:
        LatentVectorEnv(vector, folder)
    assert "\n" not in str(caught.value)
