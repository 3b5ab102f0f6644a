"""Policies that act by themselves, before anything was learned about a task.

What a policy is made of (a density, a prior, latents of trajectories or options) decides how it
acts; each is begun anew for every episode, from the episode's own source of chance.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import Observation, SelectAction
from parrot_data.worlds.world import Demonstrator, Env
from parrot_models.baselines.options_model import OptionModel
from parrot_models.baselines.trajectories_model import TrajectoryVAE
from parrot_models.networks.device import to_device
from parrot_models.networks.observations import Observations
from parrot_models.prior.behavioral_prior import BehavioralPrior

# Begins the policy of an episode: of the environment as it was just reset, and a source of chance.
Policy = Callable[[Env, np.random.Generator], SelectAction]
Box = tuple[NDArray[np.float32], NDArray[np.float32]]  # least and greatest action, (A,) each


class Seeing(Protocol):
    """What makes a context of an observation."""

    @property
    def device(self) -> torch.device:
        """Where its weights lie."""

    def context(self, observations: Observations, /) -> Tensor:
        """Encoded observations (B, C)."""


class Density(Seeing, Protocol):
    """p(a | s) that actions can be drawn from, such as a behavioral prior or a cloned policy."""

    def sample(self, context: Tensor, generator: torch.Generator, /) -> Tensor:
        """Draw actions (B, A); the generator is on the weights' device."""


def observed(observation: Observation, device: torch.device) -> dict[str, Tensor]:
    """An observation as a batch of one, by name, on a device."""
    return {name: _here(value[None], device) for name, value in observation.items()}


def uniform(box: Box) -> Policy:
    """Actions drawn uniformly from a box."""
    return lambda _env, rng: lambda _observation: rng.uniform(*box).astype(np.float32)


def scripted(demonstrator: Demonstrator) -> Policy:
    """The world's own script; it may know where things are."""
    return demonstrator.begin


def sampling(density: Density) -> Policy:
    """Actions a ~ p(a | s), drawn anew at every step."""

    def begin(_env: Env, rng: np.random.Generator) -> SelectAction:
        chance = _generator(rng, density.device)
        return _acting(density, lambda context: density.sample(context, chance))

    return begin


def most_likely_latent(prior: BehavioralPrior) -> Policy:
    """The actions f(0; s) of a prior: those of the likeliest z."""
    z = torch.zeros(1, prior.latent_dim, device=prior.device)
    return lambda _env, _rng: _acting(prior, lambda context: prior.decode(z, context))


def bounded_latents(prior: BehavioralPrior, bound: float) -> Policy:
    """Actions f(z; s) of z ~ N(0, I) given |z| <= bound in every dimension."""

    def begin(_env: Env, rng: np.random.Generator) -> SelectAction:
        chance = torch.Generator().manual_seed(int(rng.integers(2**62)))

        def action_of(context: Tensor) -> Tensor:
            z = truncated_normal(bound, prior.latent_dim, chance)
            return prior.decode(to_device(z, prior.device), context)

        return _acting(prior, action_of)

    return begin


def truncated_normal(bound: float, dim: int, generator: torch.Generator) -> Tensor:
    """Draw z (1, dim) from N(0, I) given |z| <= bound in every dimension.

    The prior's own distribution within the box that an agent acts in. Not squashed: a tanh would
    crowd z at the bounds, where the prior has least mass.
    """
    uniform_numbers = 2 * torch.rand(1, dim, generator=generator, dtype=torch.float64) - 1
    z = math.sqrt(2.0) * torch.erfinv(uniform_numbers * math.erf(bound / math.sqrt(2.0)))
    return z.clamp(-bound, bound).float()


def random_trajectories(model: TrajectoryVAE) -> Policy:
    """Trajectories of latents z ~ N(0, I), each executed open loop before the next is drawn."""

    def begin(_env: Env, rng: np.random.Generator) -> SelectAction:
        chance = _generator(rng, model.device)
        return _open_loop(model, lambda: _normal(model.latent_dim, chance))

    return begin


def random_options(model: OptionModel) -> Policy:
    """Options z ~ N(0, I), each until it ends by the model's own probability."""

    def begin(_env: Env, rng: np.random.Generator) -> SelectAction:
        chance = _generator(rng, model.device)
        z: Tensor | None = None

        def action_of(context: Tensor) -> Tensor:
            nonlocal z
            if z is None or _happens(model.ends(z, context), chance):
                z = _normal(model.latent_dim, chance)
            return model.act(z, context)

        return _acting(model, action_of)

    return begin


def repeated_trajectories(model: TrajectoryVAE, demonstration: Episode) -> SelectAction:
    """Decode the latents of a demonstration, each where it has led; for one episode.

    What the demonstration has no latent for, because it takes longer now, is done as its last.
    """
    return _open_loop(model, _in_turn(encoded_trajectories(model, demonstration)))


def repeated_options(model: OptionModel, demonstration: Episode) -> SelectAction:
    """Act out the options of a demonstration, each for as long as it lasted; for one episode.

    Their actions are the low-level policy's, which sees the scene as it has become. The last goes
    on for as long as the episode.
    """
    latents = _in_turn(likeliest_options(model, demonstration))
    return _acting(model, lambda context: model.act(latents(), context))


@torch.inference_mode()
def encoded_trajectories(model: TrajectoryVAE, episode: Episode) -> Tensor:
    """The posterior's mean of each trajectory that an episode is cut into, (N, L)."""
    num_steps, length = episode.num_steps, model.num_steps
    num = -(-num_steps // length)
    actions = np.zeros((num * length, episode.actions.shape[1]), np.float32)
    actions[:num_steps] = episode.actions
    is_step = np.arange(num * length) < num_steps
    seen = {name: values[:-1:length] for name, values in episode.observations.items()}
    return model.encode(
        _here(actions.reshape(num, length, -1), model.device),
        _here(is_step.reshape(num, length), model.device),
        model.context({name: _here(values, model.device) for name, values in seen.items()}),
    )[0]


@torch.inference_mode()
def likeliest_options(model: OptionModel, episode: Episode) -> Tensor:
    """The option of each step of an episode, (T, L): likelier boundaries, the mean of z."""
    vectors = {name: episode.observations[name][None, :-1] for name in model.spec.vectors}
    actions = _here(episode.actions[None], model.device)
    is_step = torch.ones(actions.shape[:2], dtype=torch.bool, device=model.device)
    seen = {name: _here(values, model.device) for name, values in vectors.items()}
    latents: Tensor = model.posterior(seen, actions, is_step, None).latents[0]
    return latents


def _here(array: NDArray[Any], device: torch.device) -> Tensor:
    return to_device(torch.from_numpy(np.ascontiguousarray(array)), device)


def _acting(model: Seeing, action_of: Callable[[Tensor], Tensor]) -> SelectAction:
    """Take the action (1, A) that a function makes of the context (1, C)."""

    @torch.inference_mode()
    def select_action(observation: Observation) -> NDArray[np.float32]:
        action = action_of(model.context(observed(observation, model.device)))
        return action[0].float().cpu().numpy()

    return select_action


def _open_loop(model: TrajectoryVAE, next_latent: Callable[[], Tensor]) -> SelectAction:
    """Ask for a latent (1, L) whenever nothing is left to execute."""
    left: list[NDArray[np.float32]] = []

    @torch.inference_mode()
    def select_action(observation: Observation) -> NDArray[np.float32]:
        if not left:
            context = model.context(observed(observation, model.device))
            left.extend(model.decode(next_latent(), context)[0].float().cpu().numpy())
        return left.pop(0)

    return select_action


def _in_turn(latents: Tensor) -> Callable[[], Tensor]:
    """Rows (1, L) of latents (N, L), the last one again and again."""
    numbers = iter(range(len(latents)))

    def following() -> Tensor:
        place = next(numbers, len(latents) - 1)
        return latents[place : place + 1]

    return following


def _normal(dim: int, chance: torch.Generator) -> Tensor:
    return torch.randn(1, dim, generator=chance, device=chance.device)


def _happens(probability: Tensor, chance: torch.Generator) -> bool:
    return bool(torch.rand(1, generator=chance, device=chance.device) < probability)


def _generator(rng: np.random.Generator, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(int(rng.integers(2**62)))
