"""Agents over an untrained prior, with replay buffers that are filled without living through it."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box
from numpy.typing import NDArray

from benchmarks.priors import untrained_prior
from benchmarks.setting import Values
from parrot_data.lockstep import OneEnv
from parrot_data.worlds.tabletop.env import ACTION_DIM, PROPRIOCEPTION_DIM, make_task_env
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.methods.table import METHODS
from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.rl.agent_params import Observe
from parrot_models.rl.compose import critic_action_dim, make_agent
from parrot_models.rl.latent_env import ViewedEnv
from parrot_models.rl.learner import Learner
from parrot_models.rl.replay import ReplayBuffer
from parrot_models.rl.schedule import Schedule

TASK, METHOD = "pick-bar", METHODS["parrot"]
SEED = 0
WARMUP_EPISODES = 2


def make_learner(values: Values, observe: Observe, num_steps: int) -> tuple[Learner, ViewedEnv]:
    """PARROT with the agent of params.yaml, about to begin a run of that many env steps; its env.

    Args:
        values: of params.yaml.
        observe: "features", cached, or "image", through an encoder that is trained end to end.
        num_steps: the replay buffer holds all of them.
    """
    params = values.finetune
    agent_params = params.agent.model_copy(update={"observe": observe})
    prior = ActingPrior(
        untrained_prior(values).eval().requires_grad_(False), agent_params.precision
    )
    plain = make_task_env(TASK, values.environment, render_mode=None)
    env = ViewedEnv(plain, METHOD.make_view(plain, prior, agent_params))
    assert isinstance(env.observation_space, gymnasium.spaces.Dict)
    replay = ReplayBuffer(
        _num_slots(num_steps, values),
        env.observation_space,
        critic_action_dim(METHOD, env),
        params.n_step,
        params.discount,
    )
    learner = Learner(
        OneEnv(plain),
        env.view,
        make_agent(METHOD, agent_params, env, prior, SEED),
        replay,
        Schedule(
            warmup_steps=WARMUP_EPISODES * values.environment.episode_steps,
            critic_only_updates=0,
            batch_size=params.batch_size,
            utd=1.0,
            total_steps=num_steps,
            final_rate=params.final_rate,
        ),
        seed=SEED,
        stores_executed=METHOD.executed is not None,
    )
    return learner, env


def fill(learner: Learner, env: ViewedEnv, num_slots: int) -> None:
    """Fill slots of the replay buffer with one episode of warm-up actions, again and again."""
    replay, rng = learner.replay, np.random.default_rng(SEED)
    observation, _ = env.reset(seed=SEED)
    steps, truncated = [], False
    first = observation
    while not truncated:
        action = env.sample_warmup_action(rng)
        observation, reward, _, truncated, info = env.step(action)
        stored = info["executed_action"] if learner.stores_executed else action
        steps.append((stored, float(reward), observation))
    for _ in range(num_slots // (len(steps) + 1)):
        replay.begin(first)
        for stored, reward, observation in steps:
            replay.append(stored, reward, observation, terminated=False)


def _num_slots(num_steps: int, values: Values) -> int:
    """An episode of T steps takes T + 1 slots."""
    length = values.environment.episode_steps
    return -(-num_steps // length) * (length + 1)


class StillEnv(gymnasium.Env[Any, Any]):
    """Always shows the same observation, at no cost: what is left is acting."""

    def __init__(self, environment: EnvironmentParams) -> None:
        size = environment.image_size
        self.observation_space = gymnasium.spaces.Dict(
            {
                "image": Box(0, 255, (size, size, 3), np.uint8),
                "proprioception": Box(-2.0, 2.0, (PROPRIOCEPTION_DIM,), np.float32),
            }
        )
        self.action_space = Box(-1.0, 1.0, (ACTION_DIM,), np.float32)
        rng = np.random.default_rng(SEED)
        self.observation: dict[str, NDArray[Any]] = {
            "image": rng.integers(0, 256, (size, size, 3), dtype=np.uint8),
            "proprioception": np.array([0.3, 0, 0.1, 0, 1, 0, 0, 0.05], np.float32),
        }

    def reset(self, **_: Any) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The observation."""
        return self.observation, {}

    def step(
        self, _action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """The observation again."""
        return self.observation, 0.0, False, False, {}


def still_env_and_agent(values: Values) -> tuple[ViewedEnv, Any, Any]:
    """PARROT's env over a `StillEnv`, its agent and its prior, as fine-tuning composes them."""
    params = values.finetune.agent.model_copy(update={"observe": "features"})
    prior = untrained_prior(values).eval().requires_grad_(False)
    acting = ActingPrior(prior, params.precision)
    still = StillEnv(values.environment)
    env = ViewedEnv(still, METHOD.make_view(still, acting, params))
    return env, make_agent(METHOD, params, env, acting, SEED), prior
