"""Policies that decode a whole trajectory and execute it open loop, then decode the next."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.episodes.episode import Episode
from parrot_data.worlds.tabletop.env import ACTION_DIM, Observation
from parrot_models.baselines.trajectories_model import TrajectoryVAE
from parrot_models.judging.rollouts import SelectAction, observed


def random_trajectories(model: TrajectoryVAE, generator: torch.Generator) -> SelectAction:
    """Decode z ~ N(0, I), drawn anew for every trajectory."""
    return _open_loop(model, lambda: torch.randn(1, model.latent_dim, generator=generator))


def act_out(model: TrajectoryVAE, demonstration: Episode) -> SelectAction:
    """Decode the latents of a demonstration, each where it has led; for one episode."""
    latents = iter(encoded(model, demonstration))
    return _open_loop(model, lambda: next(latents)[None])


@torch.inference_mode()
def encoded(model: TrajectoryVAE, episode: Episode) -> Tensor:
    """The posterior's mean of each trajectory that an episode is cut into, (N, L)."""
    context = model.context(
        torch.from_numpy(episode.images[: -1 : model.num_steps]),
        torch.from_numpy(episode.proprioception[: -1 : model.num_steps]),
    )
    actions = torch.from_numpy(episode.actions).view(-1, model.num_steps, ACTION_DIM)
    return model.encode(actions, context)[0]


def _open_loop(model: TrajectoryVAE, next_latent: Callable[[], Tensor]) -> SelectAction:
    """Ask for a latent (1, L) whenever nothing is left to execute."""
    left: list[NDArray[np.float32]] = []

    @torch.inference_mode()
    def select_action(observation: Observation) -> NDArray[np.float32]:
        if not left:
            context = model.context(*observed(observation, model.device))
            left.extend(model.decode(next_latent(), context)[0].numpy())
        return left.pop(0)

    return select_action
