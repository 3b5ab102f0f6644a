"""The memory of a method's learner."""

from __future__ import annotations

from functools import partial
from typing import Any

import gymnasium

from parrot_data.machine import check_memory
from parrot_models.methods.table import Method
from parrot_models.rl.compose import critic_action_dim
from parrot_models.rl.demo_replay import DemoReplay
from parrot_models.rl.latent_env import ViewedEnv
from parrot_models.rl.params import FinetuneParams
from parrot_models.rl.replay import ReplayBuffer


def make_memory(
    params: FinetuneParams, method: Method[Any], env: ViewedEnv, episode_steps: int
) -> ReplayBuffer | DemoReplay:
    """An empty memory for what an agent meets in an env, whose episodes are so long at most.

    Raises:
        UserError: it would not fit into memory.
    """
    space, num_lanes = env.observation_space, params.num_envs
    assert isinstance(space, gymnasium.spaces.Dict)
    make = partial(
        ReplayBuffer,
        observation_space=space,
        action_dim=critic_action_dim(method, env),
        n_step=params.n_step,
        discount=params.discount,
        num_lanes=num_lanes,
    )
    a_slot = ReplayBuffer.bytes_a_slot(space, critic_action_dim(method, env))
    check_memory(
        "finetune.replay_capacity", params.replay_capacity, params.replay_capacity * a_slot
    )
    memory = make(params.replay_capacity)
    if not method.keeps_demonstrations:
        return memory
    rounds = -(-params.demo_episodes // num_lanes)
    num_kept = num_lanes * rounds * (episode_steps + 1)
    needed = (params.replay_capacity + num_kept) * a_slot
    check_memory("finetune.demo_episodes", params.demo_episodes, needed)
    kept = make(num_kept)
    return DemoReplay(memory, kept, params.demo_episodes, num_lanes)
