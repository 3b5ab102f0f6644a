"""The paper's idea as a gymnasium wrapper: the agent's action is z, the robot executes f(z; s)."""

from __future__ import annotations

from typing import Any, Literal, Protocol, SupportsFloat

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box
from numpy.typing import NDArray
from torch import Tensor

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

    def encode(self, images: Tensor, proprioception: Tensor | None) -> Encoding:
        """Encode images uint8 (B, 48, 48, 3) and proprioception (B, 8)."""

    def decode(self, z: Tensor, context: Tensor) -> Tensor:
        """Actions f(z; s), (B, 7), of z (B, latent_dim) and context (B, C)."""


class FeatureEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """The env as an agent meets it who acts directly: actions as they are, the prior's view.

    Args:
        env: observations are a Dict with "image" and perhaps "proprioception".
        prior: frozen; its encoder makes the features.
        observe: "features" replaces the image by the frozen encoder's features, float32 (F,);
            "image" leaves the observation as it is.
        with_context: adds the prior's context, float32 (C,), for critics on executed actions.
    """

    def __init__(
        self, env: gymnasium.Env[Any, Any], prior: Prior, observe: Observe, *, with_context: bool
    ) -> None:
        super().__init__(env)
        self._prior, self._observe, self._with_context = prior, observe, with_context
        assert isinstance(env.observation_space, gymnasium.spaces.Dict)
        blank = {key: np.zeros_like(s.sample()) for key, s in env.observation_space.items()}
        seen = self._view(blank)
        self.observation_space = gymnasium.spaces.Dict(
            {k: env.observation_space.spaces.get(k, _unbounded(seen[k])) for k in seen}
        )

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Start an episode and encode its first observation."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._view(observation), info

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], SupportsFloat, bool, bool, dict[str, Any]]:
        """Take a step; info["executed_action"] is what the robot was told."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        info = {**info, "executed_action": action}
        return self._view(observation), reward, terminated, truncated, info

    def sample_warmup_action(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """An action before any learning: uniform in the box."""
        assert isinstance(self.action_space, Box)
        return rng.uniform(self.action_space.low, self.action_space.high).astype(np.float32)

    @torch.inference_mode()
    def _view(self, observation: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
        """Encode the observation, once, and show the agent its part of it."""
        proprioception = observation.get("proprioception")
        self._encoding = self._prior.encode(
            torch.from_numpy(observation["image"])[None],
            None if proprioception is None else torch.from_numpy(proprioception)[None],
        )
        seen = dict(observation)
        if self._observe == "features":
            del seen["image"]
            seen["features"] = self._encoding.features[0].numpy()
        if self._with_context:
            seen["context"] = self._encoding.context[0].numpy()
        return seen


class LatentEnv(FeatureEnv):
    """The env in the prior's latent space (PARROT, section 4): ordinary SAC learns on top of it.

    The action is z in [-latent_bound, latent_bound]^d; f(z; s) is executed, where s is the
    observation last shown. Every observation is encoded once, when it arrives.

    Args:
        env, prior, observe, with_context: see `FeatureEnv`.
        latent_bound: half-width of the box of z; 2 covers 95 % of the prior's mass a dimension.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        prior: Prior,
        latent_bound: float,
        observe: Observe = "features",
        *,
        with_context: bool = False,
    ) -> None:
        super().__init__(env, prior, observe, with_context=with_context)
        self._latent_bound = latent_bound
        self.action_space = Box(-latent_bound, latent_bound, (prior.latent_dim,), np.float32)

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], SupportsFloat, bool, bool, dict[str, Any]]:
        """Execute f(action; s)."""
        return super().step(self._decode(action))

    def sample_warmup_action(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """Draw the prior's own behaviour: N(0, I), clipped to the box."""
        z = rng.standard_normal(self._prior.latent_dim)
        return z.clip(-self._latent_bound, self._latent_bound).astype(np.float32)

    @torch.inference_mode()
    def _decode(self, z: NDArray[np.float32]) -> NDArray[np.float32]:
        latent = torch.from_numpy(np.asarray(z, np.float32))[None]
        return self._prior.decode(latent, self._encoding.context)[0].numpy()


def _unbounded(example: NDArray[Any]) -> Box:
    return Box(-np.inf, np.inf, example.shape, np.float32)
