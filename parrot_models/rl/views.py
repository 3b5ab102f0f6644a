"""The paper's idea: the agent's action is z, the robot executes f(z; s).

A view stands between an agent and robots, as many as there are: what it sees of each, and what it
tells each of them to do, for a step or for several. Most methods differ in it alone.

What an agent says is a decision. It holds until another is due, each robot's at its own times, and
what the agent says in between is not looked at: ordinary SAC learns on the semi-MDP of decisions,
since the replay buffer makes one transition of each.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol, SupportsFloat

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Space
from numpy.typing import NDArray
from torch import Tensor

from parrot_models.networks.device import to_device
from parrot_models.rl.params import Observe
from parrot_models.rl.replay import Observation, one_row, row_of

# What views add to observations, and what a simulator tells critics alone. No observation of a
# robot has such a name: they begin with letters
FEATURES, CONTEXT, PRIVILEGED = "_features", "_context", "_privileged"


@dataclass(frozen=True)
class Seeing:
    """What an agent sees of robots, and for how long what it says holds.

    Attributes:
        observe: "features" replaces all images by the frozen encoder's features, float32 (F,),
            which are left out where F is 0; "image" leaves the observation as it is.
        most_steps: robot steps after which a decision ends in any case.
        with_context: adds the context, float32 (C,), for critics on executed actions.
    """

    observe: Observe
    most_steps: int = 1
    with_context: bool = False


class Encoding(Protocol):
    """What a prior makes of an observation."""

    @property
    def context(self) -> Tensor:
        """(B, C), what f is conditioned on."""

    @property
    def features(self) -> Tensor:
        """(B, F), what an agent may see; of width 0 where there is nothing beside its vectors."""


class Pretrained(Protocol):
    """Something frozen that sees for the agent."""

    @property
    def device(self) -> torch.device:
        """Of all its arguments and results."""

    def encode(self, observations: Mapping[str, Tensor], /) -> Encoding:
        """Encode observations (B, ...) by name: uint8 images, float32 vectors."""

    def action_box(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Least and greatest actions of the robot, float32 (A,) each, that an agent chooses."""


class Latents(Pretrained, Protocol):
    """What turns a latent z ~ N(0, I) into behaviour."""

    @property
    def latent_dim(self) -> int:
        """Width of z."""


class Decoder(Latents, Protocol):
    """What turns z into an action."""

    def decode(self, z: Tensor, context: Tensor, /) -> Tensor:
        """Actions f(z; s), (B, A), of z (B, latent_dim) and context (B, C)."""


class Prior(Decoder, Protocol):
    """A behavioral prior."""

    def inverse(self, actions: Tensor, context: Tensor, /) -> Tensor:
        """The z, (B, latent_dim), of which these actions (B, A) are f(z; s)."""


def is_image(space: Space[Any]) -> bool:
    """Whether observations of a space are images: uint8 (H, W, 3)."""
    return space.dtype == np.uint8 and len(space.shape or ()) == 3


def seen_space(plain: Dict, pretrained: Pretrained, seeing: Seeing) -> Dict:
    """The space of what an agent sees where robots observe the plain one."""
    nothing = {k: torch.zeros(1, *_shape(s)).to(_dtype(s)) for k, s in plain.items()}
    with torch.inference_mode():
        encoding = pretrained.encode({k: v.to(pretrained.device) for k, v in nothing.items()})
    added = _added(encoding, seeing)
    kept = {k: s for k, s in plain.items() if seeing.observe == "image" or not is_image(s)}
    return Dict({**kept, **{k: _unbounded(v.shape[-1]) for k, v in added.items()}})


class DirectView:
    """The agent's actions are the robot's; it sees what something pre-trained makes of images.

    Args:
        plain: space of the robots' observations, by name.
        pretrained: frozen; its encoder makes the features.
        seeing: what it makes of them, and how long a decision lasts at most.

    Attributes:
        observation_space, action_space: the agent's, for one robot.
        fewest_steps: robot steps that a decision lasts at least, where the episode does.
    """

    def __init__(self, plain: Dict, pretrained: Pretrained, seeing: Seeing) -> None:
        self._seeing = seeing
        self._device, self._encode = pretrained.device, pretrained.encode
        self._images = [key for key, space in plain.items() if is_image(space)]
        self.fewest_steps = seeing.most_steps
        self.observation_space = seen_space(plain, pretrained, seeing)
        self.action_space = Box(*pretrained.action_box(), dtype=np.float32)

    def begin(self, observations: Observation) -> dict[str, NDArray[Any]]:
        """What the agent sees of the observations that episodes begin with, per key (N, ...).

        For every robot a decision is due.
        """
        seen = self._look(observations)
        self._is_due = np.ones(self.num_robots, bool)
        self._num_steps = np.zeros(self.num_robots, np.int64)  # that each decision has lasted
        self._held = np.zeros((self.num_robots, *_shape(self.action_space)), np.float32)
        return seen

    @torch.inference_mode()
    def see(self, observations: Observation) -> dict[str, NDArray[Any]]:
        """What it sees of those that a step led to, per key (N, ...): each is encoded once.

        Decisions may end with that step.
        """
        seen = self._look(observations)
        self._num_steps += 1
        self._is_due = self._ends(self._held) | (self._num_steps >= self._seeing.most_steps)
        self._num_steps[self._is_due] = 0
        return seen

    @property
    def num_robots(self) -> int:
        """N, of what was last seen."""
        return len(self._encoding.context)

    @property
    def is_due(self) -> NDArray[np.bool_]:
        """For which robots a decision is due, bool (N,): of others the last one still holds."""
        return self._is_due

    @torch.inference_mode()
    def executed(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the robots do, (N, A), on the agent's actions (N, D) in what it last saw.

        Actions for robots for which no decision is due are not looked at.
        """
        self._held = np.where(self._is_due[:, None], actions, self._held)
        self._held = self._held.astype(np.float32, copy=False)
        if self._is_due.any():
            self._decide(self._held, self._is_due)
        return self._act(self._held)

    def said_for(self, executed: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the agent says for robots to do these (N, A) in what was last seen: (N, D)."""
        return executed

    def sample_warmup_actions(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Actions (N, D) before any learning: uniform in the box."""
        low, high = self.action_space.low, self.action_space.high
        return rng.uniform(low, high, (self.num_robots, len(low))).astype(np.float32)

    def warmup_mode(self) -> NDArray[np.float32] | None:
        """Those of z = 0, where the actions of the warm-up are those of a latent z; else None."""
        return None

    @torch.inference_mode()
    def _look(self, observations: Observation) -> dict[str, NDArray[Any]]:
        tensors = {k: to_device(torch.from_numpy(v), self._device) for k, v in observations.items()}
        self._encoding = self._encode(tensors)
        seen = dict(observations)
        if self._seeing.observe == "features":
            for key in self._images:
                del seen[key]
        added = _added(self._encoding, self._seeing)
        return {**seen, **{key: values.cpu().numpy() for key, values in added.items()}}

    def _on_device(self, values: NDArray[np.float32]) -> Tensor:
        return to_device(torch.from_numpy(values), self._device)

    def _decide(self, held: NDArray[np.float32], is_due: NDArray[np.bool_]) -> None:
        """Take up those of the decisions held, (N, D), that are new."""

    def _act(self, held: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next step, (N, A), of decisions (N, D), in what was last seen."""
        return held

    def _ends(self, held: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Which decisions (N, D) end by themselves in what was last seen, bool (N,)."""
        return np.zeros(len(held), bool)


class GuidedView(DirectView):
    """The agent's actions are the robot's, but before any learning something pre-trained acts.

    Args:
        plain, seeing: see `DirectView`.
        prior: f(z; s), whose z ~ N(0, I) are the actions of the warm-up.
        latent_bound: z is clipped to it in every dimension, as in the box of `LatentView`.
    """

    def __init__(self, plain: Dict, prior: Decoder, latent_bound: float, seeing: Seeing) -> None:
        super().__init__(plain, prior, seeing)
        self._prior, self._latent_bound = prior, latent_bound

    def sample_warmup_actions(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """f(z; s) of z ~ N(0, I), in what was last seen."""
        z = _sample_latents(rng, self.num_robots, self._prior.latent_dim, self._latent_bound)
        return self._decoded(z)

    def warmup_mode(self) -> NDArray[np.float32]:
        """f(0; s)."""
        return self._decoded(torch.zeros(self.num_robots, self._prior.latent_dim))

    @torch.inference_mode()
    def _decoded(self, z: Tensor) -> NDArray[np.float32]:
        return self._prior.decode(to_device(z, self._device), self._encoding.context).cpu().numpy()


class BoxedLatentView(DirectView):
    """The agent's action is z in [-latent_bound, latent_bound]^d; what it does is a subclass's.

    Args:
        plain, seeing: see `DirectView`.
        latents: whose z it is.
        latent_bound: half-width of the box of z; 1 covers 68 % of N(0, I) a dimension, 2 95 %.
            Actions of a large |z| are the prior's failures: a smaller box explores better.
    """

    def __init__(self, plain: Dict, latents: Latents, latent_bound: float, seeing: Seeing) -> None:
        super().__init__(plain, latents, seeing)
        self._latent_bound, self._latent_dim = latent_bound, latents.latent_dim
        self.action_space = Box(-latent_bound, latent_bound, (latents.latent_dim,), np.float32)

    def sample_warmup_actions(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw what was pre-trained as it is: z ~ N(0, I), clipped to the box."""
        return _sample_latents(rng, self.num_robots, self._latent_dim, self._latent_bound).numpy()

    def warmup_mode(self) -> NDArray[np.float32]:
        """Its mode: z = 0."""
        return np.zeros((self.num_robots, self._latent_dim), np.float32)


class LatentView(BoxedLatentView):
    """The robots in the prior's latent space (PARROT, section 4): ordinary SAC learns on top of it.

    The action is z; f(z; s) is executed, where s is the observation last seen. While a z is held,
    the prior goes on looking: f of the same z in each new s.

    Args:
        prior: f.
        plain, latent_bound, seeing: see `BoxedLatentView`.
    """

    def __init__(self, plain: Dict, prior: Prior, latent_bound: float, seeing: Seeing) -> None:
        super().__init__(plain, prior, latent_bound, seeing)
        self._decode, self._inverse = prior.decode, prior.inverse

    @torch.inference_mode()
    def said_for(self, executed: NDArray[np.float32]) -> NDArray[np.float32]:
        """The z of each, which may lie outside the box."""
        z = self._inverse(self._on_device(executed), self._encoding.context)
        return z.float().cpu().numpy()

    def _act(self, held: NDArray[np.float32]) -> NDArray[np.float32]:
        """f(z; s) of each z."""
        return self._decode(self._on_device(held), self._encoding.context).cpu().numpy()


class ViewedEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment as the agent meets it whose view is given.

    Args:
        env: one that the view was made for.
        view: stands before it.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], view: DirectView) -> None:
        super().__init__(env)
        self.view = view
        self.observation_space = view.observation_space
        self.action_space = view.action_space

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Start an episode and encode its first observation."""
        observation, info = self.env.reset(seed=seed, options=options)
        return row_of(self.view.begin(one_row(observation)), 0), info

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a robot's step; info["executed_action"] is what the robot was told.

        While a decision of several steps lasts, `view.is_due` is False and the action is not looked
        at.
        """
        executed = self.view.executed(action[None])[0]
        observation, reward, terminated, truncated, info = self.env.step(executed)
        info = {**info, "executed_action": executed}
        seen = row_of(self.view.see(one_row(observation)), 0)
        return seen, reward, terminated, truncated, info

    def sample_warmup_action(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """An action before any learning, in what was last seen."""
        action: NDArray[np.float32] = self.view.sample_warmup_actions(rng)[0]
        return action

    def warmup_mode(self) -> NDArray[np.float32] | None:
        """The one of z = 0, if the warm-up draws a z: see `DirectView.warmup_mode`."""
        actions = self.view.warmup_mode()
        return None if actions is None else actions[0]


def _added(encoding: Encoding, seeing: Seeing) -> dict[str, Tensor]:
    """What an encoding adds to observations, per key (N, ...)."""
    added = {}
    if seeing.observe == "features" and encoding.features.shape[-1]:
        added[FEATURES] = encoding.features
    return {**added, CONTEXT: encoding.context} if seeing.with_context else added


def _sample_latents(
    rng: np.random.Generator, num_rows: int, latent_dim: int, bound: float
) -> Tensor:
    z = rng.standard_normal((num_rows, latent_dim)).clip(-bound, bound)
    return torch.from_numpy(z.astype(np.float32))


def _unbounded(dim: int) -> Box:
    return Box(-np.inf, np.inf, (dim,), np.float32)


def _shape(space: Space[Any]) -> tuple[int, ...]:
    assert space.shape is not None
    return space.shape


def _dtype(space: Space[Any]) -> torch.dtype:
    return torch.uint8 if is_image(space) else torch.float32
