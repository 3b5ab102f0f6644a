"""Views as gymnasium wrappers of one environment, for evaluation and other libraries' agents."""

from __future__ import annotations

from typing import Any, SupportsFloat

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot_models.rl.agent_params import Observe
from parrot_models.rl.batch import one_row
from parrot_models.rl.pretrained import Pretrained, Prior
from parrot_models.rl.views import DirectView, LatentView


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
        return _first(self.view.begin(one_row(observation))), info

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
        seen = _first(self.view.see(one_row(observation)))
        return seen, reward, terminated, truncated, info

    def sample_warmup_action(self, rng: np.random.Generator) -> NDArray[np.float32]:
        """An action before any learning, in what was last seen."""
        action: NDArray[np.float32] = self.view.sample_warmup_actions(rng)[0]
        return action


class FeatureEnv(ViewedEnv):
    """The env as an agent meets it who acts directly; arguments as for `DirectView`."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        pretrained: Pretrained,
        observe: Observe,
        *,
        with_context: bool,
    ) -> None:
        super().__init__(env, DirectView(env, pretrained, observe, with_context=with_context))


class LatentEnv(ViewedEnv):
    """The env in the prior's latent space; arguments as for `LatentView`."""

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        prior: Prior,
        latent_bound: float,
        observe: Observe = "features",
        *,
        with_context: bool = False,
    ) -> None:
        view = LatentView(env, prior, latent_bound, observe, with_context=with_context)
        super().__init__(env, view)


def _first(seen: dict[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {key: values[0] for key, values in seen.items()}
