"""The parts that are behavioral priors, of any flow, and an environment in the space of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Box, Dict, Space

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_models.methods.part import Part, Trained
from parrot_models.networks.choices import Precision
from parrot_models.networks.device import CPU
from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.rl.params import Observe
from parrot_models.rl.views import LatentView, Prior, ViewedEnv

CODE = (
    "flows", "prior/acting_prior.py", "prior/architecture.py", "prior/behavioral_prior.py",
    "prior/params.py", "training/params.py",
)  # fmt: skip


def _load(folder: Path, device: torch.device, precision: Precision) -> ActingPrior:
    return ActingPrior(BehavioralPrior.load(folder).to(device), precision)


PRIOR = Part("prior", "parrot train-prior", _load, CODE)
SPLINE = Part("spline", "parrot train-prior --set train_prior.flow=spline", _load, CODE)
MATCHING = Part("matching", "parrot train-prior --set train_prior.flow=matching", _load, CODE)


class TrainedPrior(Trained, Prior, Protocol):
    """A prior that knows of which data it is."""


class LatentEnv(ViewedEnv):
    """An environment whose action is a prior's z, for the agents of any library.

    Args:
        env: any whose observations are a Dict as the prior's data have them.
        prior: folder that `parrot train-prior` wrote, or what was read from it.
        latent_bound: half-width of the box of z, see `BoxedLatentView`.
        observe, with_context: see `DirectView`.

    Raises:
        UserError: nothing is in the folder, or the environment observes or does something else
            than the prior's data.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        prior: Path | str | TrainedPrior,
        latent_bound: float,
        observe: Observe = "features",
        *,
        with_context: bool = False,
    ) -> None:
        read = _load(Path(prior), CPU, "fp32") if isinstance(prior, Path | str) else prior
        _check_spaces(env, read.spec)
        plain = env.observation_space
        assert isinstance(plain, Dict)
        view = LatentView(plain, read, latent_bound, observe, with_context=with_context)
        super().__init__(env, view)


def _check_spaces(env: gymnasium.Env[Any, Any], spec: EpisodeSpec) -> None:
    """See that an environment's spaces are those of a spec."""
    theirs = _forms(env.observation_space)
    ours = {name: (each.dtype, each.shape) for name, each in spec.observations.items()}
    for name in sorted(ours.keys() | theirs.keys()):
        if ours.get(name) != theirs.get(name):
            raise UserError(
                f"the environment's observation {name or '(without a name)'} is "
                f"{_said(theirs.get(name))}, in the prior's data {_said(ours.get(name))}: wrap the "
                "environment, or name the prior of its data"
            )
    if env.action_space.shape != (spec.action.dim,):
        raise UserError(
            f"the environment's action is {env.action_space}, in the prior's data one of "
            f"{spec.action.dim} numbers: name the prior of its data"
        )


def _forms(space: Space[Any]) -> dict[str, tuple[Any, Any]]:
    """Dtypes and shapes of the observations of a space, by name; "" where it has none."""
    named = space.spaces if isinstance(space, Dict) else {"": space}
    return {
        name: (np.dtype(each.dtype), each.shape) if isinstance(each, Box) else (None, None)
        for name, each in named.items()
    }


def _said(form: tuple[Any, Any] | None) -> str:
    return "missing" if form is None else f"{form[0]} {form[1]}"
