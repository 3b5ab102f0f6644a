"""TrajRL: an agent that chooses whole trajectories, or chunks of them (PARROT, section 5)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from gymnasium.spaces import Dict
from numpy.typing import NDArray
from torch import Tensor

from parrot_models.baselines.keypoints import load_keypoints
from parrot_models.baselines.trajectories_model import TrajectoryVAE
from parrot_models.methods.part import ContextSeen, Part
from parrot_models.networks.choices import Precision
from parrot_models.networks.keypoints import Keypoints
from parrot_models.rl.views import BoxedLatentView, Latents, Seeing


class Trajectories(Latents, Protocol):
    """A model of whole trajectories."""

    num_steps: int

    def decode(self, z: Tensor, context: Tensor, /) -> Tensor:
        """Actions (B, num_steps, A) of z (B, latent_dim) and the first context (B, C)."""


class TrajectoryView(BoxedLatentView):
    """A decision is a trajectory, executed open loop (Ghadirzadeh et al., 2017, section III).

    With trajectories as long as an episode it is one decision an episode, a contextual bandit. Of
    longer ones than `most_steps` only the beginning is executed before another is decided.

    Args:
        model: decodes z, given the observation that the decision is taken on.
        plain, latent_bound, seeing: see `BoxedLatentView`.
    """

    def __init__(
        self, plain: Dict, model: Trajectories, latent_bound: float, seeing: Seeing
    ) -> None:
        most_steps = min(seeing.most_steps, model.num_steps)
        super().__init__(plain, model, latent_bound, replace(seeing, most_steps=most_steps))
        self._decode = model.decode

    def _decide(self, held: NDArray[np.float32], is_due: NDArray[np.bool_]) -> None:
        new = self._decode(self._on_device(held), self._encoding.context)
        if is_due.all():
            self._plans = new
        else:
            here = torch.from_numpy(is_due).to(new.device)
            self._plans = torch.where(here[:, None, None], new, self._plans)

    def _act(self, _held: NDArray[np.float32]) -> NDArray[np.float32]:
        step = torch.from_numpy(self._num_steps).to(self._plans.device)
        return self._plans[torch.arange(len(step), device=step.device), step].cpu().numpy()


class SeenTrajectories(ContextSeen):
    """The model of trajectories, whose context and keypoints are what an agent sees."""

    def __init__(
        self, model: TrajectoryVAE, keypoints: Keypoints | None, precision: Precision
    ) -> None:
        super().__init__(model, keypoints, precision)
        self.latent_dim, self.num_steps = model.latent_dim, model.num_steps
        self.decode = model.decode


def _load(folder: Path, device: torch.device, precision: Precision) -> SeenTrajectories:
    keypoints = load_keypoints(folder, "trajectories", device)
    return SeenTrajectories(TrajectoryVAE.load(folder).to(device), keypoints, precision)


TRAJECTORIES = Part(
    "trajectories", "parrot pretrain --method trajectories", _load,
    code=("baselines/keypoints.py", "baselines/trajectories_model.py"),
)  # fmt: skip
