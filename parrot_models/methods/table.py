"""The methods that can be compared, each a composition of the same parts.

They are those of PARROT's own comparison (Singh et al., 2021, section 5) and rivals of later years:
RLPD (Ball et al., 2023) for what is kept in memory, DSRL (Wagenmaker et al., 2025) for acting
through the noise of flow matching. What an agent of each sees is what its own part encodes, the
part's own keypoints, and the gripper's pose, so that no baseline hangs on the flow. `sac` alone
sees the prior's features, to differ from `parrot` in nothing but its actions; `vae_features` sees
those of its VAE in place of keypoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import gymnasium
from torch import Tensor

from parrot_data.errors import UserError
from parrot_models.methods.bc_sac import CLONE, Clone, ClonedActor
from parrot_models.methods.hirl import OPTIONS, OptionView, SeenOptions
from parrot_models.methods.parrot import MATCHING, PRIOR, SPLINE
from parrot_models.methods.part import Part
from parrot_models.methods.traj_rl import TRAJECTORIES, SeenTrajectories, TrajectoryView
from parrot_models.methods.vae_features import VAE
from parrot_models.rl.agent_params import AgentParams
from parrot_models.rl.networks import Actor
from parrot_models.rl.pretrained import Pretrained, Prior
from parrot_models.rl.sac import Executed
from parrot_models.rl.views import DirectView, GuidedView, LatentView

CONTEXT = "context"  # observation key that only `executed` reads

P = TypeVar("P", bound=Pretrained)


@dataclass(frozen=True)
class Method(Generic[P]):
    """How a method composes env and agent.

    Attributes:
        part: what was pre-trained for it; nothing else that was concerns it.
        make_view: what stands between the agent and the robot.
        initial_std: of the actor's Gaussian under its tanh.
        make_actor: what the actor starts as, where it does not start afresh.
        executed: what the critics judge, where it is not what the agent says; the replay buffer
            then holds what the robot executed.
        always_features: whether `agent.observe` is not asked, as features are what it is about.
        explores_with_prior: whether a share of the training episodes is guided.
        keeps_demonstrations: whether half of each batch is drawn from first episodes, all guided.
    """

    part: Part[P]
    make_view: Callable[[gymnasium.Env[Any, Any], P, AgentParams], DirectView]
    initial_std: Callable[[AgentParams], float]
    make_actor: Callable[[P, AgentParams, int, Tensor, Tensor], Actor] | None = None
    executed: Callable[[P], Executed] | None = None
    always_features: bool = False
    explores_with_prior: bool = False
    keeps_demonstrations: bool = False


def _unit(_params: AgentParams) -> float:
    return 1.0


def _as_the_prior(params: AgentParams) -> float:
    """Of a box of z: with it the agent starts close to N(0, I)."""
    return 1 / params.latent_bound


def _direct(env: gymnasium.Env[Any, Any], part: Pretrained, params: AgentParams) -> DirectView:
    return DirectView(env, part, params.observe, with_context=False)


def _latent(env: gymnasium.Env[Any, Any], prior: Prior, params: AgentParams) -> DirectView:
    return LatentView(env, prior, params.latent_bound, params.observe, with_context=False)


def _latent_and_context(
    env: gymnasium.Env[Any, Any], prior: Prior, params: AgentParams
) -> DirectView:
    return LatentView(env, prior, params.latent_bound, params.observe, with_context=True)


def _guided(env: gymnasium.Env[Any, Any], prior: Prior, params: AgentParams) -> DirectView:
    return GuidedView(env, prior, params.latent_bound, params.observe)


def _features(env: gymnasium.Env[Any, Any], part: Pretrained, _params: AgentParams) -> DirectView:
    return DirectView(env, part, "features", with_context=False)


def _cloned(env: gymnasium.Env[Any, Any], clone: Clone, _params: AgentParams) -> DirectView:
    return GuidedView(env, clone, math.inf, "features")


def _trajectories(
    env: gymnasium.Env[Any, Any], model: SeenTrajectories, params: AgentParams
) -> DirectView:
    return TrajectoryView(env, model, params.latent_bound, params.observe, params.decision_steps)


def _options(env: gymnasium.Env[Any, Any], model: SeenOptions, params: AgentParams) -> DirectView:
    return OptionView(env, model, params.latent_bound, params.observe, params.decision_steps)


def _decoded(prior: Prior) -> Executed:
    def executed(z: Tensor, observations: Mapping[str, Tensor]) -> Tensor:
        return prior.decode(z, observations[CONTEXT])

    return executed


METHODS: Mapping[str, Method[Any]] = MappingProxyType(
    {
        # PARROT: SAC over z, which starts as the prior's own N(0, I).
        "parrot": Method(PRIOR, _latent, _as_the_prior),
        # The same, with critics that judge what z does: Q(s, f(z; s)).
        "parrot_executed": Method(PRIOR, _latent_and_context, _as_the_prior, executed=_decoded),
        # The same; half of each batch is drawn from prior-driven episodes that are kept.
        "parrot_demo": Method(PRIOR, _latent, _as_the_prior, keeps_demonstrations=True),
        # The same over other flows.
        "parrot_spline": Method(SPLINE, _latent, _as_the_prior),
        "flow_matching": Method(MATCHING, _latent, _as_the_prior),
        # SAC from scratch on the robot's actions; it sees what parrot sees, the prior's features.
        "sac": Method(PRIOR, _direct, _unit),
        # The same; the prior acts in the warm-up, and in a share of the episodes after it: in whole
        # ones, since single steps of it would lead nowhere.
        "prior_explore": Method(PRIOR, _guided, _unit, explores_with_prior=True),
        # SAC from a cloned actor and its encoder, critics from scratch; the clone warms up.
        "bc_sac": Method(CLONE, _cloned, _unit, make_actor=ClonedActor, always_features=True),
        # SAC on the features of a VAE.
        "vae_features": Method(VAE, _features, _unit, always_features=True),
        # SAC over the latent of whole trajectories, or of chunks of them.
        "traj_rl": Method(TRAJECTORIES, _trajectories, _as_the_prior),
        # SAC over the latent of options.
        "hirl": Method(OPTIONS, _options, _as_the_prior),
    }
)


def named_method(name: str) -> Method[Any]:
    """The method of this name.

    Raises:
        UserError: there is none.
    """
    if name not in METHODS:
        raise UserError(f"no method is called {name!r}; choose one of {', '.join(METHODS)}")
    return METHODS[name]


def part_folder(name: str) -> Path:
    """Where `dvc.yaml` puts what a method is pre-trained as, relative to the pipeline's folder.

    Raises:
        UserError: there is no such method.
    """
    return Path("models") / named_method(name).part.name
