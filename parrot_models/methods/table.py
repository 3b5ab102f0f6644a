"""The methods that can be compared, each a composition of the same parts.

They are those of PARROT's own comparison (Singh et al., 2021, section 5) and rivals of later years:
RLPD (Ball et al., 2023) for what is kept in memory, DSRL (Wagenmaker et al., 2025) for acting
through the noise of flow matching. What an agent of each sees is what its own part encodes, the
part's own keypoints, and all vectors of the observation, so that no baseline hangs on the flow.
`sac` alone sees the prior's features, to differ from `parrot` in nothing but its actions;
`vae_features` sees those of its VAE in place of keypoints.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any, Generic, TypeVar

import torch
from gymnasium.spaces import Box, Dict
from torch import Tensor, nn

from parrot_data.episodes.spec import ImageSpec
from parrot_data.errors import UserError
from parrot_models.methods.bc_sac import CLONE, Clone, ClonedActor
from parrot_models.methods.hirl import OPTIONS, OptionView, SeenOptions
from parrot_models.methods.parrot import MATCHING, PRIOR, SPLINE
from parrot_models.methods.part import Part, Trained
from parrot_models.methods.traj_rl import TRAJECTORIES, SeenTrajectories, TrajectoryView
from parrot_models.methods.vae_features import VAE
from parrot_models.networks.chance import torch_generator, torch_seed
from parrot_models.networks.image_encoder import make_image_encoder
from parrot_models.rl.best_of import BestOfSAC
from parrot_models.rl.full_control import (
    EditedLatentView,
    EditingActor,
    ReferredActor,
    UnboundedLatentView,
    WideningActor,
)
from parrot_models.rl.networks import Actor, Critic, Trunk
from parrot_models.rl.params import AgentParams
from parrot_models.rl.sac import SAC, Executed, Networks, actions_as_given
from parrot_models.rl.views import (
    CONTEXT,
    FEATURES,
    PRIVILEGED,
    DirectView,
    GuidedView,
    LatentView,
    Pretrained,
    Prior,
    Seeing,
    is_image,
)

NUM_CRITICS = 2  # for the clipped double Q of SAC

T = TypeVar("T", bound=Trained)
# Of what was pre-trained, params, the width of its input, the corners of the box, and chance
MakeActor = Callable[[T, AgentParams, int, Tensor, Tensor, torch.Generator], Actor]


@dataclass(frozen=True)
class Method(Generic[T]):
    """How a method composes env and agent.

    Attributes:
        part: what was pre-trained for it; nothing else that was concerns it.
        make_view: what stands between the agent and the robot; of the space of its observations.
        initial_std: of the actor's Gaussian under its tanh.
        make_actor: what the actor starts as, where it does not start afresh.
        executed: what the critics judge, where it is not what the agent says; the replay buffer
            then holds what the robot executed.
        agent: how it acts and learns.
        explores_with_prior: whether a share of the training episodes is guided.
        critics_are_told: whether critics see what the world calls privileged.
        keeps_demonstrations: whether half of each batch is drawn from first episodes, all guided.
    """

    part: Part[T]
    make_view: Callable[[Dict, T, AgentParams], DirectView]
    initial_std: Callable[[AgentParams], float]
    make_actor: MakeActor[T] | None = None
    executed: Callable[[T], Executed] | None = None
    agent: type[SAC] = SAC
    explores_with_prior: bool = False
    critics_are_told: bool = False
    keeps_demonstrations: bool = False


def _unit(_params: AgentParams) -> float:
    return 1.0


def _as_the_prior(params: AgentParams) -> float:
    """Of a box of z: with it the agent starts close to N(0, I)."""
    return 1 / params.latent_bound


def _seeing(params: AgentParams, *, with_context: bool = False) -> Seeing:
    return Seeing(params.observe, params.hold_steps, with_context)


def _direct(plain: Dict, part: Pretrained, params: AgentParams) -> DirectView:
    return DirectView(plain, part, _seeing(params))


def _latent(plain: Dict, prior: Prior, params: AgentParams) -> DirectView:
    return LatentView(plain, prior, params.latent_bound, _seeing(params))


def _unbounded(
    plain: Dict, prior: Prior, params: AgentParams, *, with_context: bool = False
) -> DirectView:
    seeing = _seeing(params, with_context=with_context)
    return UnboundedLatentView(plain, prior, params.reference_std, seeing)


def _widening(plain: Dict, prior: Prior, params: AgentParams) -> DirectView:
    return LatentView(plain, prior, params.last_latent_bound, _seeing(params))


def _edited_latent(plain: Dict, prior: Prior, params: AgentParams) -> DirectView:
    seeing = _seeing(params)
    return EditedLatentView(plain, prior, params.latent_bound, params.edit_scale, seeing)


def _guided(plain: Dict, prior: Prior, params: AgentParams) -> DirectView:
    return GuidedView(plain, prior, params.latent_bound, _seeing(params))


def _features(plain: Dict, part: Pretrained, params: AgentParams) -> DirectView:
    return DirectView(plain, part, Seeing("features", params.hold_steps))


def _cloned(plain: Dict, clone: Clone, params: AgentParams) -> DirectView:
    return GuidedView(plain, clone, math.inf, Seeing("features", params.hold_steps))


def _trajectories(plain: Dict, model: SeenTrajectories, params: AgentParams) -> DirectView:
    seeing = Seeing(params.observe, params.decision_steps)
    return TrajectoryView(plain, model, params.latent_bound, seeing)


def _options(plain: Dict, model: SeenOptions, params: AgentParams) -> DirectView:
    seeing = Seeing(params.observe, params.decision_steps)
    return OptionView(plain, model, params.latent_bound, seeing)


def _cloned_actor(
    clone: Clone, params: AgentParams, width: int, low: Tensor, high: Tensor, _: torch.Generator
) -> Actor:
    return ClonedActor(clone, params, width, low, high)


def _referred_actor(
    _prior: Prior, params: AgentParams, width: int, low: Tensor, _high: Tensor,
    generator: torch.Generator,
) -> Actor:  # fmt: skip
    return ReferredActor(width, len(low), params.reference_std, params.hidden, generator)


def _widening_actor(
    _prior: Prior, params: AgentParams, width: int, low: Tensor, _high: Tensor,
    generator: torch.Generator,
) -> Actor:  # fmt: skip
    bounds = params.latent_bound, params.last_latent_bound
    std = _as_the_prior(params)
    return WideningActor(width, len(low), *bounds, params.hidden, std, generator)


def _editing_actor(
    prior: Prior, params: AgentParams, width: int, low: Tensor, high: Tensor,
    generator: torch.Generator,
) -> Actor:  # fmt: skip
    std = _as_the_prior(params)
    return EditingActor(width, low, high, params.hidden, std, prior.latent_dim, generator)


def _decoded(prior: Prior) -> Executed:
    def executed(z: Tensor, observations: Mapping[str, Tensor]) -> Tensor:
        return prior.decode(z, observations[CONTEXT])

    return executed


METHODS: Mapping[str, Method[Any]] = MappingProxyType(
    {
        # PARROT: SAC over z, held near the prior by the divergence from it.
        "parrot": Method(PRIOR, _unbounded, _unit, make_actor=_referred_actor),
        # The same in a box of z, the prior's own N(0, I) at first.
        "parrot_box": Method(PRIOR, _latent, _as_the_prior),
        # parrot with critics that judge what z does: Q(s, f(z; s)).
        "parrot_executed": Method(
            PRIOR,
            partial(_unbounded, with_context=True),
            _unit,
            make_actor=_referred_actor,
            executed=_decoded,
        ),
        # parrot; half of each batch is drawn from prior-driven episodes that are kept.
        "parrot_demo": Method(
            PRIOR, _unbounded, _unit, make_actor=_referred_actor, keeps_demonstrations=True
        ),
        # parrot_box whose box is larger at the end.
        "parrot_widening": Method(PRIOR, _widening, _as_the_prior, make_actor=_widening_actor),
        # parrot that acts by the best of several z, as its critics judge them.
        "parrot_best": Method(
            PRIOR, _unbounded, _unit, make_actor=_referred_actor, agent=BestOfSAC
        ),
        # parrot whose critics are told what the simulator knows.
        "parrot_privileged": Method(
            PRIOR, _unbounded, _unit, make_actor=_referred_actor, critics_are_told=True
        ),
        # parrot_box with an edit of the action on top of f(z; s).
        "parrot_edit": Method(PRIOR, _edited_latent, _as_the_prior, make_actor=_editing_actor),
        # parrot over another flow.
        "parrot_spline": Method(SPLINE, _unbounded, _unit, make_actor=_referred_actor),
        # DSRL, whose noise has a box, over flow matching.
        "flow_matching": Method(MATCHING, _latent, _as_the_prior),
        # SAC from scratch on the robot's actions; it sees what parrot sees, the prior's features.
        "sac": Method(PRIOR, _direct, _unit),
        # The same; the prior acts in the warm-up, and in a share of the episodes after it: in whole
        # ones, since single steps of it would lead nowhere.
        "prior_explore": Method(PRIOR, _guided, _unit, explores_with_prior=True),
        # SAC from a cloned actor and its encoder, critics from scratch; the clone warms up.
        "bc_sac": Method(CLONE, _cloned, _unit, make_actor=_cloned_actor),
        # SAC on the features of a VAE.
        "vae_features": Method(VAE, _features, _unit),
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


def make_agent(method: Method[T], params: AgentParams, view: DirectView, part: T, seed: int) -> SAC:
    """An untrained agent, on the part's device, behind a view that the method made."""
    generator = torch_generator(seed, "agent")
    low, high = (
        torch.from_numpy(corner) for corner in (view.action_space.low, view.action_space.high)
    )
    dims = _vector_dims(view.observation_space)
    encoders = _image_encoders(params, view.observation_space, seed)
    encoder_dim = params.encoder_dim if encoders else 0
    critic_dims = {PRIVILEGED: dims.pop(PRIVILEGED)} if PRIVILEGED in dims else {}
    width = sum(dims.values()) + encoder_dim * len(encoders)
    actor = (
        Actor(width, low, high, params.hidden, method.initial_std(params), generator)
        if method.make_actor is None
        else method.make_actor(part, params, width, low, high, generator)
    )
    return method.agent(
        Networks(
            Trunk(dims, encoders, encoder_dim, clips=actor.clips_input, critic_dims=critic_dims),
            actor,
            Critic(
                width + sum(critic_dims.values()),
                critic_action_dim(method, view, part),
                params.hidden,
                NUM_CRITICS,
                generator,
            ),
        ),
        params,
        executed=actions_as_given if method.executed is None else method.executed(part),
        generator=generator,
        device=part.device,
    )


def critic_action_dim(method: Method[T], view: DirectView, part: T) -> int:
    """Width of the actions that the critics judge, and that the replay buffer holds."""
    return int(view.action_space.shape[0]) if method.executed is None else part.spec.action.dim


def _vector_dims(space: Dict) -> dict[str, int]:
    """Widths of what an agent sees of vectors, the features first, as `ClonedActor` has them."""
    names = [n for n, s in space.items() if n not in (FEATURES, CONTEXT) and not is_image(s)]
    ordered = [FEATURES, *names] if FEATURES in space.spaces else names
    boxes = {name: space[name] for name in ordered}
    return {name: box.shape[0] for name, box in boxes.items() if isinstance(box, Box)}


def _image_encoders(params: AgentParams, space: Dict, seed: int) -> dict[str, nn.Module]:
    """A fresh encoder for each image that an agent sees."""
    shapes = {name: s.shape for name, s in sorted(space.items()) if is_image(s) and s.shape}
    # Layers draw their first weights from the global generator: lend it our seed.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(torch_seed(seed, "agent: encoder"))
        return {
            name: make_image_encoder(
                params.encoder, ImageSpec(height=height, width=width), params.encoder_dim
            )
            for name, (height, width, _) in shapes.items()
        }
