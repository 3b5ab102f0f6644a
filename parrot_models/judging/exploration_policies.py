"""The policies whose exploration is compared; each makes an episode's policy from its chance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.worlds.tabletop.env import Observation, TabletopEnv
from parrot_data.worlds.tabletop.scripts.collect import make_scripted_policy
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.judging.exploration_trace import MakePolicy, SelectAction
from parrot_models.judging.rollouts import observed, random_policy, sampling_policy
from parrot_models.prior.behavioral_prior import BehavioralPrior


def make_policies(
    prior: BehavioralPrior, clone: BehaviorCloning | None, latent_bounds: Sequence[float]
) -> dict[str, MakePolicy]:
    """Policies by name, in the order of a table: from chance, over the prior, to the script.

    Args:
        prior: frozen.
        clone: frozen; None where there is none to compare with.
        latent_bounds: bounds b of |z|, dimension by dimension.
    """

    def bounded(bound: float) -> MakePolicy:
        return lambda _env, rng: _bounded_prior(prior, bound, _generator(rng))

    policies: dict[str, MakePolicy] = {"random": lambda _env, rng: random_policy(rng)}
    policies |= {f"prior |z|<{bound:g}": bounded(bound) for bound in sorted(latent_bounds)}
    policies["prior"] = lambda _env, rng: sampling_policy(prior, _generator(rng))
    if clone is not None:
        policies["bc"] = lambda _env, rng: sampling_policy(clone, _generator(rng))
    policies["script"] = _script
    return policies


def truncated_normal(bound: float, dim: int, generator: torch.Generator) -> Tensor:
    """Draw z (1, dim) from N(0, I) given |z| <= bound in every dimension.

    The prior's own distribution within the box that an agent acts in. Not squashed: a tanh would
    crowd z at the bounds, where the prior has least mass.
    """
    uniform = 2 * torch.rand(1, dim, generator=generator, dtype=torch.float64) - 1
    z = math.sqrt(2.0) * torch.erfinv(uniform * math.erf(bound / math.sqrt(2.0)))
    return z.clamp(-bound, bound).float()


def _bounded_prior(
    prior: BehavioralPrior, bound: float, generator: torch.Generator
) -> SelectAction:
    @torch.inference_mode()
    def select_action(observation: Observation) -> Any:
        context = prior.context(*observed(observation, prior.device))
        z = truncated_normal(bound, prior.latent_dim, generator)
        return prior.decode(z, context)[0].numpy()

    return select_action


def _script(env: TabletopEnv, rng: np.random.Generator) -> SelectAction:
    """The demonstrator, without noise; it knows where the objects are."""
    policy = make_scripted_policy(env, rng)

    def select_action(_observation: Observation) -> NDArray[np.float32]:
        return policy.action().astype(np.float32)

    return select_action


def _generator(rng: np.random.Generator) -> torch.Generator:
    return torch.Generator().manual_seed(int(rng.integers(2**62)))
