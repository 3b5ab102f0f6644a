"""Decisions that last: a latent is decoded into behaviour of several steps."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_models.networks.device import to_device
from parrot_models.rl.agent_params import Observe
from parrot_models.rl.batch import Observation
from parrot_models.rl.pretrained import Latents
from parrot_models.rl.views import BoxedLatentView


class DecisionView(BoxedLatentView):
    """A decision z holds until another is due: ordinary SAC learns on the semi-MDP of decisions.

    Each robot decides at its own times. What the agent says in between is not looked at; the replay
    buffer makes one transition of a decision, so that nothing else knows of this.

    Args:
        env, latents, latent_bound, observe: see `BoxedLatentView`.
        most_steps: robot steps after which a decision ends in any case.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        latents: Latents,
        latent_bound: float,
        observe: Observe,
        most_steps: int,
    ) -> None:
        self._latent_dim, self._most_steps = latents.latent_dim, most_steps
        super().__init__(env, latents, latent_bound, observe)

    def begin(self, observations: Observation) -> dict[str, NDArray[Any]]:
        """See `DirectView`; for every robot a decision is due."""
        num_robots = len(observations["image"])
        self._is_due = np.ones(num_robots, bool)
        self._num_steps = np.zeros(num_robots, np.int64)  # that each decision has lasted
        self._z = np.zeros((num_robots, self._latent_dim), np.float32)
        return super().see(observations)

    @torch.inference_mode()
    def see(self, observations: Observation) -> dict[str, NDArray[Any]]:
        """See `DirectView`; decisions may end with the step that led here."""
        seen = super().see(observations)
        self._num_steps += 1
        self._is_due = self._ends(self._held()) | (self._num_steps >= self._most_steps)
        self._num_steps[self._is_due] = 0
        return seen

    @property
    def is_due(self) -> NDArray[np.bool_]:
        """For which robots a decision is due, bool (N,)."""
        return self._is_due

    @torch.inference_mode()
    def executed(self, actions: NDArray[np.float32]) -> NDArray[np.float32]:
        """The next step, (N, 7), of what each robot is at; decides anew where that is due."""
        self._z = np.where(self._is_due[:, None], actions, self._z).astype(np.float32)
        if self._is_due.any():
            self._decide(self._held(), self._is_due)
        return self._act(self._held()).cpu().numpy()

    def _held(self) -> Tensor:
        return to_device(torch.from_numpy(self._z), self._device)

    def _decide(self, z: Tensor, is_due: NDArray[np.bool_]) -> None:
        """Take up those of the decisions z (N, L) that are new."""

    def _act(self, z: Tensor) -> Tensor:
        """Actions (N, 7) that carry on with decisions z (N, L)."""
        raise NotImplementedError

    def _ends(self, _z: Tensor) -> NDArray[np.bool_]:
        """Which decisions end by themselves in what was last seen, bool (N,)."""
        return np.zeros(self.num_robots, bool)
