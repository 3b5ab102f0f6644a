"""The paper's idea: the agent's action is z, the robot executes f(z; s).

A view stands between an agent and robots, as many as there are: what it sees of each, and what it
tells each of them to do, for a step or for several. Most methods differ in it alone.
"""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from torch import Tensor

from parrot_models.networks.device import to_device
from parrot_models.rl.agent_params import Observe
from parrot_models.rl.batch import Observation
from parrot_models.rl.pretrained import Latents, Pretrained, Prior


class DirectView:
    """The agent's actions are the robot's; it sees what something pre-trained makes of pictures.

    Args:
        env: one like those it stands before; observations are a Dict with "image" and perhaps
            "proprioception".
        pretrained: frozen; its encoder makes the features.
        observe: "features" replaces the image by the frozen encoder's features, float32 (F,);
            "image" leaves the observation as it is.
        with_context: adds the context, float32 (C,), for critics on executed actions.

    Attributes:
        observation_space, action_space: the agent's, for one robot.
        fewest_steps: robot steps that a decision of the agent lasts at least.
    """

    fewest_steps = 1

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        pretrained: Pretrained,
        observe: Observe,
        *,
        with_context: bool,
    ) -> None:
        self._observe, self._with_context = observe, with_context
        self._device, self._encode = pretrained.device, pretrained.encode
        plain = env.observation_space
        assert isinstance(plain, gymnasium.spaces.Dict)
        assert isinstance(env.action_space, Box)
        self.action_space = env.action_space
        seen = self.begin({key: np.zeros_like([s.sample()]) for key, s in plain.items()})
        self.observation_space = gymnasium.spaces.Dict(
            {k: plain.spaces.get(k, _unbounded(values[0])) for k, values in seen.items()}
        )

    def begin(self, observations: Observation) -> dict[str, NDArray[Any]]:
        """What the agent sees of the observations that episodes begin with, per key (N, ...)."""
        return self.see(observations)

    @torch.inference_mode()
    def see(self, observations: Observation) -> dict[str, NDArray[Any]]:
        """What it sees of those that a step led to, per key (N, ...): each is encoded once."""
        tensors = {
            key: to_device(torch.from_numpy(observations[key]), self._device)
            for key in ("image", "proprioception")
            if key in observations
        }
        self._encoding = self._encode(tensors["image"], tensors.get("proprioception"))
        seen = dict(observations)
        if self._observe == "features":
            del seen["image"]
            seen["features"] = self._encoding.features.cpu().numpy()
        if self._with_context:
            seen["context"] = self._encoding.context.cpu().numpy()
        return seen

    @property
    def num_robots(self) -> int:
        """N, of what was last seen."""
        return len(self._encoding.context)

    @property
    def is_due(self) -> NDArray[np.bool_]:
        """For which robots a decision is due, bool (N,): of others the last one still holds."""
        return np.ones(self.num_robots, bool)

    def executed(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the robots do, (N, 7), on the agent's actions (N, A) in what it last saw.

        Actions for robots for which no decision is due are not looked at.
        """
        return actions

    def sample_warmup_actions(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Actions (N, A) before any learning: uniform in the box."""
        low, high = self.action_space.low, self.action_space.high
        return rng.uniform(low, high, (self.num_robots, len(low))).astype(np.float32)


class GuidedView(DirectView):
    """The agent's actions are the robot's, but before any learning something pre-trained acts.

    Args:
        env, observe: see `DirectView`.
        prior: f(z; s), whose z ~ N(0, I) are the actions of the warm-up.
        latent_bound: z is clipped to it in every dimension, as in the box of `LatentView`.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        prior: Prior,
        latent_bound: float,
        observe: Observe,
    ) -> None:
        self._prior, self._latent_bound = prior, latent_bound
        super().__init__(env, prior, observe, with_context=False)

    @torch.inference_mode()
    def sample_warmup_actions(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """f(z; s) of z ~ N(0, I), in what was last seen."""
        z = _sample_latents(rng, self.num_robots, self._prior.latent_dim, self._latent_bound)
        return self._prior.decode(to_device(z, self._device), self._encoding.context).cpu().numpy()


class BoxedLatentView(DirectView):
    """The agent's action is z in [-latent_bound, latent_bound]^d; what it does is a subclass's.

    Args:
        env, observe, with_context: see `DirectView`.
        latents: whose z it is.
        latent_bound: half-width of the box of z; 1 covers 68 % of N(0, I) a dimension, 2 95 %.
            Actions of a large |z| are the prior's failures: a smaller box explores better.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        latents: Latents,
        latent_bound: float,
        observe: Observe,
        *,
        with_context: bool = False,
    ) -> None:
        super().__init__(env, latents, observe, with_context=with_context)
        self._latent_bound = latent_bound
        self.action_space = Box(-latent_bound, latent_bound, (latents.latent_dim,), np.float32)

    def sample_warmup_actions(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw what was pre-trained as it is: z ~ N(0, I), clipped to the box."""
        (latent_dim,) = self.action_space.shape
        return _sample_latents(rng, self.num_robots, latent_dim, self._latent_bound).numpy()


class LatentView(BoxedLatentView):
    """The robots in the prior's latent space (PARROT, section 4): ordinary SAC learns on top of it.

    The action is z; f(z; s) is executed, where s is the observation last seen.

    Args:
        prior: f.
        env, latent_bound, observe, with_context: see `BoxedLatentView`.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        prior: Prior,
        latent_bound: float,
        observe: Observe,
        *,
        with_context: bool,
    ) -> None:
        self._decode = prior.decode
        super().__init__(env, prior, latent_bound, observe, with_context=with_context)

    @torch.inference_mode()
    def executed(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """f(z; s) of each z."""
        z = to_device(torch.from_numpy(np.asarray(actions, np.float32)), self._device)
        return self._decode(z, self._encoding.context).cpu().numpy()


def _sample_latents(
    rng: np.random.Generator, num_rows: int, latent_dim: int, bound: float
) -> Tensor:
    z = rng.standard_normal((num_rows, latent_dim)).clip(-bound, bound)
    return torch.from_numpy(z.astype(np.float32))


def _unbounded(example: NDArray[Any]) -> Box:
    return Box(-np.inf, np.inf, example.shape, np.float32)
