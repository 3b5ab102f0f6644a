"""Agents over an untrained prior, with replay buffers filled without that many steps."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from benchmarks.priors import some_batch, untrained_prior
from benchmarks.setting import Values
from parrot_data.lockstep import OneEnv
from parrot_data.worlds.gymnasium_world import box_of
from parrot_data.worlds.make import make_world
from parrot_models.methods.table import METHODS, critic_action_dim, make_agent
from parrot_models.networks.choices import Precision
from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.rl.learner import Learner, Schedule
from parrot_models.rl.params import AgentParams, Observe
from parrot_models.rl.replay import ReplayBuffer
from parrot_models.rl.sac import SAC
from parrot_models.rl.views import ViewedEnv

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
    prior = acting_prior(untrained_prior(values), agent_params.precision)
    env, agent = viewed_env_and_agent(
        make_world(values.tabletop).make_env(TASK), prior, agent_params
    )
    replay = ReplayBuffer(
        _num_slots(num_steps, values),
        env.view.observation_space,
        critic_action_dim(METHOD, env.view, prior),
        params.n_step,
        params.discount,
    )
    learner = Learner(
        OneEnv(env.env),
        env.view,
        agent,
        replay,
        Schedule(
            warmup_steps=WARMUP_EPISODES * values.tabletop.episode_steps,
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


def acting_prior(prior: BehavioralPrior, precision: Precision) -> ActingPrior:
    """A prior as fine-tuning has it: frozen."""
    return ActingPrior(prior.eval().requires_grad_(False), precision)


def viewed_env_and_agent(
    plain: gymnasium.Env[Any, Any], prior: ActingPrior, params: AgentParams
) -> tuple[ViewedEnv, SAC]:
    """PARROT's env over a plain one, and its agent, as fine-tuning composes them."""
    assert isinstance(plain.observation_space, Dict)
    view = METHOD.make_view(plain.observation_space, prior, params)
    return ViewedEnv(plain, view), make_agent(METHOD, params, view, prior, SEED)


def fill(learner: Learner, env: ViewedEnv, num_slots: int) -> None:
    """Fill slots of the replay buffer with one episode of warm-up actions, again and again."""
    replay, rng = learner.replay, np.random.default_rng(SEED)
    observation, _ = env.reset(seed=SEED)
    steps, is_over = [], False
    first = observation
    while not is_over:
        action = env.sample_warmup_action(rng)
        observation, reward, terminated, truncated, info = env.step(action)
        is_over = terminated or truncated
        stored = info["executed_action"] if learner.stores_executed else action
        steps.append((stored, float(reward), observation))
    for _ in range(num_slots // (len(steps) + 1)):
        replay.begin(first)
        for stored, reward, observation in steps:
            replay.append(stored, reward, observation, terminated=False)


def _num_slots(num_steps: int, values: Values) -> int:
    """An episode of T steps takes T + 1 slots."""
    length = values.tabletop.episode_steps
    return -(-num_steps // length) * (length + 1)


class StillEnv(gymnasium.Env[Any, Any]):
    """Always shows the same observation, at no cost: what is left is acting.

    Args:
        values: of params.yaml; the observation is as the tabletop's spec says.
    """

    def __init__(self, values: Values) -> None:
        spec, batch = values.spec, some_batch(values, 1)
        self.observation_space = Dict({name: box_of(s) for name, s in spec.observations.items()})
        self.action_space = Box(-1.0, 1.0, (spec.action.dim,), np.float32)
        self.observation: dict[str, NDArray[Any]] = {
            name: tensor[0].numpy() for name, tensor in batch.observations.items()
        }

    def reset(self, **_: Any) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """The observation."""
        return self.observation, {}

    def step(
        self, _action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], float, bool, bool, dict[str, Any]]:
        """The observation again."""
        return self.observation, 0.0, False, False, {}


def still_env_and_agent(values: Values) -> tuple[ViewedEnv, SAC, BehavioralPrior]:
    """PARROT's env over a `StillEnv`, its agent and its prior, as fine-tuning composes them."""
    params = values.finetune.agent.model_copy(update={"observe": "features"})
    prior = untrained_prior(values)
    acting = acting_prior(prior, params.precision)
    return *viewed_env_and_agent(StillEnv(values), acting, params), prior
