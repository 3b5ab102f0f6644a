"""The parts that are behavioral priors, of any flow, and environments in the space of one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Protocol

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Space
from gymnasium.vector import AutoresetMode, VectorEnv, VectorWrapper
from gymnasium.vector.utils import batch_space
from numpy.typing import NDArray

from parrot_data.episodes.described import DescribedEnv, Description, spec_of_spaces
from parrot_data.episodes.spec import EpisodeSpec, ImageSpec, VectorSpec
from parrot_data.errors import UserError
from parrot_models.methods.part import Part, Trained
from parrot_models.networks.choices import Precision
from parrot_models.networks.device import CPU
from parrot_models.prior.acting_prior import ActingPrior
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.rl.params import Observe
from parrot_models.rl.views import LatentView, Prior, Seeing, ViewedEnv

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
        env: any that observes and does what the prior's data say; an observation without a name is
            called as the world `gymnasium` calls it, `state` or `image`.
        prior: folder that `parrot train-prior` wrote, or what was read from it.
        latent_bound: half-width of the box of z, see `BoxedLatentView`; 1 is what
            `finetune.agent.latent_bound` is by default, and was best there.
        observe, with_context: see `Seeing`.

    Raises:
        UserError: nothing is in the folder, or the environment observes or does something else
            than the prior's data.
    """

    def __init__(
        self,
        env: gymnasium.Env[Any, Any],
        prior: Path | str | TrainedPrior,
        latent_bound: float = 1.0,
        observe: Observe = "features",
        *,
        with_context: bool = False,
    ) -> None:
        read = _read(prior)
        _check_spaces(env.observation_space, env.action_space, read.spec)
        described = DescribedEnv(env, read.spec, _WHERE)
        plain = described.description.observation_space
        view = LatentView(plain, read, latent_bound, Seeing(observe, with_context=with_context))
        super().__init__(described, view)


class LatentVectorEnv(VectorWrapper[Any, Any, Any, Any, Any]):
    """Environments side by side whose actions are a prior's z: all are encoded and decoded at once.

    Every z is decoded in the observation that its environment was last seen in, whatever the mode
    of autoreset: after a NEXT_STEP reset, and after one in the SAME_STEP, that is the first of the
    new episode. `info["final_obs"]` holds what the agent sees of an episode's last observation.

    Args:
        env: of any kind of `gymnasium.vector`, of environments that fit the prior.
        prior, latent_bound, observe, with_context: see `LatentEnv`.

    Raises:
        UserError: see `LatentEnv`.
    """

    def __init__(
        self,
        env: VectorEnv[Any, Any, Any],
        prior: Path | str | TrainedPrior,
        latent_bound: float = 1.0,
        observe: Observe = "features",
        *,
        with_context: bool = False,
    ) -> None:
        super().__init__(env)
        read = _read(prior)
        spaces = env.single_observation_space, env.single_action_space
        _check_spaces(*spaces, read.spec)
        self._description = Description(*spaces, read.spec, _WHERE)
        plain = self._description.observation_space
        seeing = Seeing(observe, with_context=with_context)
        self.view = LatentView(plain, read, latent_bound, seeing)
        self.single_observation_space = self.view.observation_space
        self.single_action_space = self.view.action_space
        self.observation_space = batch_space(self.single_observation_space, self.num_envs)
        self.action_space = batch_space(self.single_action_space, self.num_envs)
        self._is_reset_next = np.zeros(self.num_envs, bool)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[dict[str, NDArray[Any]], dict[str, Any]]:
        """Start episodes and encode their first observations."""
        observations, info = self.env.reset(seed=seed, options=options)
        self._is_reset_next[:] = False
        return self.view.begin(self._observed(observations)), info

    def step(
        self, actions: NDArray[np.float32]
    ) -> tuple[dict[str, NDArray[Any]], NDArray[Any], NDArray[Any], NDArray[Any], dict[str, Any]]:
        """Take a step of every robot; info["executed_action"] is what each was told."""
        executed = self.view.executed(actions)
        own = self._description.own(executed)
        observations, rewards, terminated, truncated, info = self.env.step(own)
        told = {"executed_action": executed, "_executed_action": ~self._is_reset_next}
        # Before what the next z are decoded in: a view remembers what it saw last
        told |= self._seen_last(info)
        if self.metadata.get("autoreset_mode") == AutoresetMode.NEXT_STEP:
            self._is_reset_next = terminated | truncated
        seen = self.view.see(self._observed(observations))
        return seen, rewards, terminated, truncated, {**info, **told}

    def _observed(self, observations: Any) -> dict[str, NDArray[Any]]:
        return self._description.observed(observations, (self.num_envs,))

    def _seen_last(self, info: dict[str, Any]) -> dict[str, Any]:
        """The last observations of episodes that were reset in the same step, as the agent's."""
        if "final_obs" not in info:
            return {}
        rows = np.flatnonzero(info["_final_obs"]).tolist()
        plain = [self._description.observed(info["final_obs"][row]) for row in rows]
        seen = self.view.see({key: np.stack([each[key] for each in plain]) for key in plain[0]})
        finals = np.full(self.num_envs, None, object)
        for place, row in enumerate(rows):
            finals[row] = {key: values[place] for key, values in seen.items()}
        return {"final_obs": finals}


_WHERE = "the environment"


def _read(prior: Path | str | TrainedPrior) -> TrainedPrior:
    return _load(Path(prior), CPU, "fp32") if isinstance(prior, Path | str) else prior


def _check_spaces(observations: Space[Any], actions: Space[Any], spec: EpisodeSpec) -> None:
    """See that one environment's spaces are those of a spec; bounds may be missing on one side."""
    theirs = spec_of_spaces(observations, actions, _WHERE)
    for name in sorted(spec.observations.keys() | theirs.observations.keys()):
        one, other = theirs.observations.get(name), spec.observations.get(name)
        if one != other:
            raise UserError(
                f"the environment's observation {name} is {_said(one)}, in the prior's data "
                f"{_said(other)}: wrap the environment, or name the prior of its data"
            )
    one_action, other_action = theirs.action, spec.action
    if one_action.dim != other_action.dim:
        raise UserError(
            f"the environment's action is one of {one_action.dim} numbers, in the prior's data one "
            f"of {other_action.dim}: name the prior of its data"
        )
    bounds = [(each.low, each.high) for each in (one_action, other_action)]
    if (None, None) not in bounds and bounds[0] != bounds[1]:
        raise UserError(
            f"the environment's actions are bounded by {bounds[0]}, in the prior's data by "
            f"{bounds[1]}: rescale the actions by a wrapper, or name the prior of its data"
        )


def _said(spec: ImageSpec | VectorSpec | None) -> str:
    return "missing" if spec is None else f"{spec.dtype} {spec.shape}"
