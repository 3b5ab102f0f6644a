"""What a simulator knows and no policy may see, told to critics: they judge while an agent learns.

An asymmetric actor-critic (Pinto et al., 2018, "Asymmetric actor critic for image-based robot
learning"): the actor sees what it will see on its own, and needs nothing else to act.
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import numpy as np
from gymnasium.spaces import Box, Dict
from numpy.typing import NDArray

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.rl.views import PRIVILEGED

Observation = dict[str, NDArray[Any]]


def with_privileged(plain: Dict, spec: EpisodeSpec, method: str) -> Dict:
    """A space of observations that also hold what is privileged, as one vector.

    Raises:
        UserError: the spec names nothing privileged.
    """
    dim = sum(math.prod(each.shape) for each in spec.privileged.values())
    if not dim:
        raise UserError(
            f"critics of {method} are told what a simulator knows, and environment.name names a "
            "world that tells nothing privileged: choose another method"
        )
    return Dict({**plain.spaces, PRIVILEGED: Box(-np.inf, np.inf, (dim,), np.float32)})


class TellingEnv(gymnasium.Wrapper[Any, Any, Any, Any]):
    """An environment whose observations also hold what its `info["privileged"]` tells.

    Args:
        env: a world's.
        spec: that world's.
        method: for errors.
    """

    def __init__(self, env: gymnasium.Env[Any, Any], spec: EpisodeSpec, method: str) -> None:
        super().__init__(env)
        self._names = sorted(spec.privileged)
        assert isinstance(env.observation_space, Dict)
        space = with_privileged(env.observation_space, spec, method)
        self.observation_space, self._shape = space, space[PRIVILEGED].shape

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """See `gymnasium.Env`."""
        observation, info = self.env.reset(seed=seed, options=options)
        return self._told(observation, info), info

    def step(self, action: Any) -> tuple[Observation, Any, bool, bool, dict[str, Any]]:
        """See `gymnasium.Env`."""
        observation, reward, terminated, truncated, info = self.env.step(action)
        return self._told(observation, info), reward, terminated, truncated, info

    def _told(self, observation: Observation, info: dict[str, Any]) -> Observation:
        told = info.get("privileged", {})
        missing = [name for name in self._names if name not in told]
        if missing:
            raise UserError(
                f"the environment does not tell {missing[0]!r} in info['privileged'], which its "
                "world's spec names: mend the environment, or the spec"
            )
        vector = np.concatenate([np.ravel(told[name]) for name in self._names]).astype(np.float32)
        if vector.shape != self._shape:
            raise UserError(
                f"the environment tells {len(vector)} numbers in info['privileged'], not as many "
                "as its world's spec says: mend the environment, or the spec"
            )
        return {**observation, PRIVILEGED: vector}
