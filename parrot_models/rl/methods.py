"""The methods that can be compared, each a composition of the same parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Literal

import gymnasium
import torch
from gymnasium.spaces import Box
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from parrot_data.errors import UserError
from parrot_models.networks.image_encoder import make_encoder
from parrot_models.networks.precision import Precision
from parrot_models.rl.latent_env import FeatureEnv, LatentEnv, ViewedEnv
from parrot_models.rl.sac import SAC, Executed, actions_as_given
from parrot_models.rl.views import Observe, Prior

CONTEXT = "context"  # observation key that only `executed` reads


class AgentParams(BaseModel):
    """`finetune.agent` of params.yaml: all that makes an agent, beside its method.

    Attributes:
        observe: "features", the prior's frozen ones, or "image", through an encoder of its own.
        encoder: name of that encoder; read where `observe` is "image".
        encoder_dim: width of its output.
        critic_actions: whether critics judge z ("latent", the paper's) or f(z; s) ("executed").
        latent_bound: half-width of the box of z.
        hidden: widths of the hidden layers of actor and critics.
        learning_rate: of actor, critics and temperature.
        polyak: share of the critics that their targets take over at every update.
        initial_temperature: weight of the entropy bonus at the start.
        target_entropy: nats, of actions scaled to [-1, 1].
        observation_noise: standard deviation of the noise on what networks see in updates.
        precision: "bf16" or "fp32", of matrix products in updates, see `SAC`, and of the
            convolutions that encode a picture, see `ActingPrior`.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    observe: Observe
    encoder: str
    encoder_dim: int = Field(ge=1)
    critic_actions: Literal["latent", "executed"]
    latent_bound: float = Field(gt=0)
    hidden: list[int] = Field(min_length=1)
    learning_rate: float = Field(gt=0)
    polyak: float = Field(gt=0, le=1)
    initial_temperature: float = Field(gt=0)
    target_entropy: float
    observation_noise: float = Field(ge=0)
    precision: Precision


@dataclass(frozen=True)
class Method:
    """How a method composes env and agent.

    Attributes:
        make_env: what stands between the agent and the robot.
        initial_std: of the actor's Gaussian under its tanh.
        make_executed: what the critics judge, given the prior.
    """

    make_env: Callable[[gymnasium.Env[Any, Any], Prior, AgentParams], ViewedEnv]
    initial_std: Callable[[AgentParams], float]
    make_executed: Callable[[Prior, AgentParams], Executed]


def _latent_env(env: gymnasium.Env[Any, Any], prior: Prior, params: AgentParams) -> ViewedEnv:
    with_context = params.critic_actions == "executed"
    return LatentEnv(env, prior, params.latent_bound, params.observe, with_context=with_context)


def _plain_env(env: gymnasium.Env[Any, Any], prior: Prior, params: AgentParams) -> ViewedEnv:
    return FeatureEnv(env, prior, params.observe, with_context=False)


def _decoded(prior: Prior, params: AgentParams) -> Executed:
    if params.critic_actions == "latent":
        return actions_as_given

    def executed(z: Tensor, observations: Mapping[str, Tensor]) -> Tensor:
        return prior.decode(z, observations[CONTEXT])

    return executed


METHODS: Mapping[str, Method] = MappingProxyType(
    {
        # PARROT: SAC over z, which starts as the prior's own N(0, I).
        "parrot": Method(_latent_env, lambda params: 1 / params.latent_bound, _decoded),
        # SAC from scratch on the robot's actions; it sees what parrot sees.
        "sac": Method(_plain_env, lambda _params: 1.0, lambda _prior, _params: actions_as_given),
    }
)


def named_method(name: str) -> Method:
    """The method of this name.

    Raises:
        UserError: there is none.
    """
    if name not in METHODS:
        raise UserError(f"no method is called {name!r}; choose one of {', '.join(METHODS)}")
    return METHODS[name]


def make_agent(method: Method, params: AgentParams, env: ViewedEnv, prior: Prior, seed: int) -> SAC:
    """An untrained agent, on the prior's device, for an env that `method.make_env` made."""
    assert isinstance(env.observation_space, gymnasium.spaces.Dict)
    assert isinstance(env.action_space, Box)
    assert env.unwrapped.action_space.shape is not None
    encoder = _image_encoder(params, seed) if params.observe == "image" else None
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
        critic_action_dim=critic_action_dim(params, env),
        executed=method.make_executed(prior, params),
        hidden=params.hidden,
        learning_rate=params.learning_rate,
        polyak=params.polyak,
        initial_temperature=params.initial_temperature,
        target_entropy=params.target_entropy,
        initial_std=method.initial_std(params),
        observation_noise=params.observation_noise,
        precision=params.precision,
        generator=torch.Generator().manual_seed(seed),
        device=prior.device,
    )


def critic_action_dim(params: AgentParams, env: gymnasium.Env[Any, Any]) -> int:
    """Width of the actions that the critics judge, and that the replay buffer holds."""
    judged = env.unwrapped if params.critic_actions == "executed" else env
    assert judged.action_space.shape is not None
    return int(judged.action_space.shape[0])


def _image_encoder(params: AgentParams, seed: int) -> nn.Module:
    # Its layers draw their first weights from the global generator: lend it our seed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return make_encoder(params.encoder, params.encoder_dim)
