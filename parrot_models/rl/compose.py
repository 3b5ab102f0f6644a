"""The agent of a method, from its parts."""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar

import gymnasium
import torch
from gymnasium.spaces import Box
from torch import nn

from parrot_data.worlds.tabletop.env import ACTION_DIM
from parrot_models.methods.table import CONTEXT, Method
from parrot_models.networks.chance import torch_generator, torch_seed
from parrot_models.networks.image_encoder import make_encoder
from parrot_models.rl.agent_params import AgentParams
from parrot_models.rl.latent_env import ViewedEnv
from parrot_models.rl.pretrained import Pretrained
from parrot_models.rl.sac import SAC, actions_as_given

P = TypeVar("P", bound=Pretrained)


def make_agent(method: Method[P], params: AgentParams, env: ViewedEnv, part: P, seed: int) -> SAC:
    """An untrained agent, on the part's device, for an env with a view that the method made."""
    assert isinstance(env.observation_space, gymnasium.spaces.Dict)
    assert isinstance(env.action_space, Box)
    sees_image = params.observe == "image" and not method.always_features
    encoder = _image_encoder(params, seed) if sees_image else None
    return SAC(
        vector_dims={
            key: space.shape[0]  # type: ignore[index]
            for key, space in env.observation_space.items()
            if key not in ("image", CONTEXT)
        },
        encoder=encoder,
        encoder_dim=0 if encoder is None else params.encoder_dim,
        action_low=env.action_space.low,
        action_high=env.action_space.high,
        critic_action_dim=critic_action_dim(method, env),
        executed=actions_as_given if method.executed is None else method.executed(part),
        hidden=params.hidden,
        learning_rate=params.learning_rate,
        polyak=params.polyak,
        initial_temperature=params.initial_temperature,
        target_entropy=params.target_entropy * env.action_space.shape[0] / ACTION_DIM,
        initial_std=method.initial_std(params),
        observation_noise=params.observation_noise,
        precision=params.precision,
        generator=torch_generator(seed, "agent"),
        device=part.device,
        make_actor=None if method.make_actor is None else partial(method.make_actor, part, params),
    )


def critic_action_dim(method: Method[Any], env: gymnasium.Env[Any, Any]) -> int:
    """Width of the actions that the critics judge, and that the replay buffer holds."""
    judged = env if method.executed is None else env.unwrapped
    assert judged.action_space.shape is not None
    return int(judged.action_space.shape[0])


def _image_encoder(params: AgentParams, seed: int) -> nn.Module:
    # Its layers draw their first weights from the global generator: lend it our seed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "agent: encoder"))
        return make_encoder(params.encoder, params.encoder_dim)
