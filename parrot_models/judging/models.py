"""What is judged: a trained model's folder, of whichever kind, as policies and features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.rollout import SelectAction
from parrot_data.episodes.spec import EpisodeSpec, difference
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, sha256_file
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.baselines.keypoints import load_keypoints
from parrot_models.baselines.options_model import OptionModel
from parrot_models.baselines.trajectories_model import TrajectoryVAE
from parrot_models.baselines.vae_model import BetaVAE
from parrot_models.judging import policies
from parrot_models.judging.policies import Box, Policy
from parrot_models.judging.probe import Encode, encoded
from parrot_models.networks.context_model import ContextModel
from parrot_models.networks.observations import Observations
from parrot_models.networks.sight import keypoints_of
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.behavioral_prior import WEIGHTS, BehavioralPrior

PRIOR = "prior"


@dataclass(frozen=True, eq=False)
class JudgedModel:
    """A frozen model as judging needs it.

    Attributes:
        kind: "prior", or what `pretrain` calls it.
        spec: of the data it was trained on.
        box: least and greatest action, to draw random ones from.
        policies: that act by it alone, by name; empty where it does not act.
        encoders: features that agents see, or parts of these, by name.
        repeat: the policy that repeats a demonstration; None where it encodes none.
        prior: whose actions agents over its latents can produce; None where it is none.
        reproduction: name of the rate of demonstrations that succeed again.
    """

    kind: str
    spec: EpisodeSpec
    box: Box
    policies: Mapping[str, Policy] = field(default_factory=dict)
    encoders: Mapping[str, Encode] = field(default_factory=dict)
    repeat: Callable[[Episode], SelectAction] | None = None
    prior: BehavioralPrior | None = None
    reproduction: str = ""


def load_judged(folder: Path, device: torch.device) -> JudgedModel:
    """Read a model of any kind.

    Args:
        folder: that `train-prior` or `pretrain` wrote.
        device: where it acts.

    Raises:
        UserError: it is no such folder, or config or weights are missing or broken.
    """
    return _KINDS[kind_of(folder)](folder, device)


def kind_of(folder: Path) -> str:
    """Of which kind the model in a folder is.

    Raises:
        UserError: of none that can be judged.
    """
    config = read_json(folder / CONFIG)
    kind = config.get("method") if isinstance(config, dict) else None
    if kind is None and (folder / WEIGHTS).exists():
        kind = PRIOR
    if kind not in _KINDS:
        raise UserError(
            f"{folder} is no trained model of a kind that can be judged ({', '.join(_KINDS)}): "
            "name a folder that `parrot train-prior` or `parrot pretrain` wrote"
        )
    return str(kind)


def check_world(folder: Path, model: EpisodeSpec, world: EpisodeSpec) -> None:
    """Refuse a world that shows or takes something else than a model was trained on.

    Raises:
        UserError: naming the first difference.
    """
    found = difference(model, world)
    if found:
        raise UserError(
            f"{folder} was trained on other data than the world of section environment gives: "
            f"{found}; set environment back, or train again on data of this world"
        )


def hashes_of(folder: Path) -> dict[str, str]:
    """SHA-256 of a model's config and weights, by name."""
    files = sorted([*folder.glob("*.safetensors"), folder / CONFIG])
    return {path.name: sha256_file(path) for path in files}


def box_of(model: ContextModel) -> Box:
    """The box that a model's actions lie in, (A,) each."""
    low, high = model.action_scale.box()
    return low.cpu().numpy(), high.cpu().numpy()


def _prior(folder: Path, device: torch.device) -> JudgedModel:
    prior = BehavioralPrior.load(folder).to(device)
    return JudgedModel(
        kind=PRIOR,
        spec=prior.spec,
        box=box_of(prior),
        policies={
            "sampled": policies.sampling(prior),
            "mode": policies.most_likely_latent(prior),
        },
        encoders={
            "agent_features": encoded(lambda seen: prior.encode(seen).features, device),
            "keypoints": encoded(lambda seen: keypoints_of(prior.keypoints, seen), device),
            "flow_features": encoded(prior.own_features, device),
        },
        prior=prior,
    )


def _clone(folder: Path, device: torch.device) -> JudgedModel:
    clone = BehaviorCloning.load(folder).to(device)
    return JudgedModel(
        kind="bc",
        spec=clone.spec,
        box=box_of(clone),
        policies={"sampled": policies.sampling(clone)},
        encoders=_seen_beside(clone, folder, "bc"),
    )


def _trajectories(folder: Path, device: torch.device) -> JudgedModel:
    model = TrajectoryVAE.load(folder).to(device)
    return JudgedModel(
        kind="trajectories",
        spec=model.spec,
        box=box_of(model),
        policies={"sampled": policies.random_trajectories(model)},
        encoders=_seen_beside(model, folder, "trajectories"),
        repeat=lambda episode: policies.repeated_trajectories(model, episode),
        reproduction="open_loop_reproduction_rate",
    )


def _options(folder: Path, device: torch.device) -> JudgedModel:
    model = OptionModel.load(folder).to(device)
    return JudgedModel(
        kind="options",
        spec=model.spec,
        box=box_of(model),
        policies={"sampled": policies.random_options(model)},
        encoders=_seen_beside(model, folder, "options"),
        repeat=lambda episode: policies.repeated_options(model, episode),
        reproduction="closed_loop_reproduction_rate",
    )


def _vae(folder: Path, device: torch.device) -> JudgedModel:
    vae = BetaVAE.load(folder).to(device)
    action = vae.architecture.spec.action
    # Without bounds and without a scale of actions, the random steps of a probe are of size 1.
    low = np.array(action.low or [-1.0] * action.dim, np.float32)
    high = np.array(action.high or [1.0] * action.dim, np.float32)
    return JudgedModel(
        kind="vae",
        spec=vae.architecture.spec,
        box=(low, high),
        encoders={"agent_features": encoded(vae.features, device)},
    )


def _seen_beside(model: ContextModel, folder: Path, method: str) -> dict[str, Encode]:
    """What the agent of a part sees, its context and keypoints of its own, and either alone."""
    keypoints = load_keypoints(folder, method)
    if keypoints is not None:
        keypoints.to(model.device)

    def seen(observations: Observations) -> Tensor:
        return torch.cat([model.context(observations), keypoints_of(keypoints, observations)], -1)

    return {
        "agent_features": encoded(seen, model.device),
        "keypoints": encoded(lambda seen: keypoints_of(keypoints, seen), model.device),
        "context": encoded(model.context, model.device),
    }


_KINDS: Mapping[str, Callable[[Path, torch.device], JudgedModel]] = {
    PRIOR: _prior,
    "bc": _clone,
    "vae": _vae,
    "trajectories": _trajectories,
    "options": _options,
}
