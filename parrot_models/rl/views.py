"""The paper's idea: the agent's action is z, the robot executes f(z; s).

A view stands between an agent and robots, as many as there are: what it sees of each, and what it
tells each of them to do. Methods differ in it alone.
"""

from __future__ import annotations

from typing import Any, Literal, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from torch import Tensor

from parrot_models.networks.device import to_device
from parrot_models.rl.batch import Observation

Observe = Literal["features", "image"]


class Encoding(Protocol):
    """What a prior makes of an observation."""

    @property
    def context(self) -> Tensor:
        """(B, C), what f is conditioned on."""

    @property
    def features(self) -> Tensor:
        """(B, F), what an agent may see."""


class Prior(Protocol):
    """What this room needs of a behavioral prior."""

    latent_dim: int

    @property
    def device(self) -> torch.device:
        """Of all its arguments and results."""

    def encode(self, images: Tensor, proprioception: Tensor | None) -> Encoding:
        """Encode images uint8 (B, 48, 48, 3) and proprioception (B, 8)."""

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Actions f(z; s), (B, 7), of z (B, latent_dim) and context (B, C)."""


class DirectView:
    """The agent's actions are the robot's, and it sees what the prior makes of pictures.

    Args:
        env: one like those it stands before; observations are a Dict with "image" and perhaps
            "proprioception".
        prior: frozen; its encoder makes the features.
        observe: "features" replaces the image by the frozen encoder's features, float32 (F,);
            "image" leaves the observation as it is.
        with_context: adds the prior's context, float32 (C,), for critics on executed actions.

    Attributes:
        observation_space, action_space: the agent's, for one robot.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], prior: Prior, observe: Observe, *, with_context: bool
    ) -> None:
        self._prior, self._observe, self._with_context = prior, observe, with_context
        plain = env.observation_space
        assert isinstance(plain, gymnasium.spaces.Dict)
        assert isinstance(env.action_space, Box)
        self.action_space = env.action_space
        seen = self.see({key: np.zeros_like([s.sample()]) for key, s in plain.items()})
        self.observation_space = gymnasium.spaces.Dict(
            {k: plain.spaces.get(k, _unbounded(values[0])) for k, values in seen.items()}
        )

    @torch.inference_mode()
    def see(self, observations: Observation) -> dict[str, NDArray[Any]]:
        """What the agent sees of the robots' observations, per key (N, ...): each encoded once."""
        device = self._prior.device
        tensors = {
            key: to_device(torch.from_numpy(observations[key]), device)
            for key in ("image", "proprioception")
            if key in observations
        }
        self._encoding = self._prior.encode(tensors["image"], tensors.get("proprioception"))
        seen = dict(observations)
        if self._observe == "features":
            del seen["image"]
            seen["features"] = self._encoding.features.cpu().numpy()
        if self._with_context:
            seen["context"] = self._encoding.context.cpu().numpy()
        return seen

    def executed(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """What the robots do, (N, 7), on the agent's actions (N, A) in what it last saw."""
        return actions

    def sample_warmup_action(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """An action (A,) before any learning: uniform in the box."""
        return rng.uniform(self.action_space.low, self.action_space.high).astype(np.float32)


class LatentView(DirectView):
    """The robots in the prior's latent space (PARROT, section 4): ordinary SAC learns on top of it.

    The action is z in [-latent_bound, latent_bound]^d; f(z; s) is executed, where s is the
    observation last seen.

    Args:
        env, prior, observe, with_context: see `DirectView`.
        latent_bound: half-width of the box of z; 2 covers 95 % of the prior's mass a dimension.
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
        super().__init__(env, prior, observe, with_context=with_context)
        self._latent_bound = latent_bound
        self.action_space = Box(-latent_bound, latent_bound, (prior.latent_dim,), np.float32)

    @torch.inference_mode()
    def executed(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """f(z; s) of each z."""
        z = to_device(torch.from_numpy(np.asarray(actions, np.float32)), self._prior.device)
        return self._prior.decode(z, self._encoding.context).cpu().numpy()

    def sample_warmup_action(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw the prior's own behaviour: N(0, I), clipped to the box."""
        z = rng.standard_normal(self._prior.latent_dim)
        return z.clip(-self._latent_bound, self._latent_bound).astype(np.float32)


def _unbounded(example: NDArray[Any]) -> Box:
    return Box(-np.inf, np.inf, example.shape, np.float32)
