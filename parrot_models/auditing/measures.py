"""What demonstrations tell of a prior once f is inverted: how likely, and within which bounds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.episodes.spec import EpisodeSpec, difference
from parrot_data.errors import UserError
from parrot_data.progress import Progress
from parrot_data.stores.entries import EpisodeEntry
from parrot_models.networks.device import to_device
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.measures import RESTORED_WITHIN
from parrot_models.training.transitions import Batch, Transitions

BATCH = 256


@dataclass(frozen=True, eq=False)
class Inverted:
    """Demonstrated actions as a prior sees them, a row a step, in the order of the dataset.

    Attributes:
        latents: float64 (N, A), z = f^-1(a; s).
        log_prob_per_dim: float64 (N,), log p(a | s) of the normalised action over its width, nats.
        restored_error: float64 (N,), the largest |f(z; s) - a| in a dimension, normalised.
        episodes: (N,), the place of each step's episode.
        steps: (N,), counted from 0 within the episode.
        uniform_latents, uniform_error: the same as latents and restored_error of as many actions,
            drawn uniformly from the action box in the place of the demonstrated ones.
    """

    latents: NDArray[np.float64]
    log_prob_per_dim: NDArray[np.float64]
    restored_error: NDArray[np.float64]
    episodes: NDArray[np.int64]
    steps: NDArray[np.int64]
    uniform_latents: NDArray[np.float64]
    uniform_error: NDArray[np.float64]

    def taken(self, rows: NDArray[np.bool_]) -> Inverted:
        """The steps that are marked in `rows` (N,), alone."""
        return Inverted(**{name: values[rows] for name, values in vars(self).items()})


def invert(
    prior: BehavioralPrior, transitions: Transitions, rng: np.random.Generator, progress: Progress
) -> Inverted:
    """Invert f at every action of a dataset, each in the light of what was observed there.

    Args:
        prior: frozen.
        transitions: of data that have its spec; all of them are taken.
        rng: of the uniform actions.
        progress: called after each batch.
    """
    found = list(_batches(prior, transitions, rng, progress))
    latents, log_probs, errors, *of_uniform = (
        np.concatenate(parts) for parts in zip(*found, strict=True)
    )
    episodes = transitions.episodes.astype(np.int64)
    first_rows = np.searchsorted(episodes, episodes)
    steps = np.arange(len(episodes)) - first_rows
    return Inverted(latents, log_probs, errors, episodes, steps, *of_uniform)


def check_spec(prior: Path, ours: BehavioralPrior, data: Path, theirs: EpisodeSpec) -> None:
    """Refuse demonstrations that show or take something else than a prior was trained on.

    Args:
        prior: its folder, for the sentence.
        ours: the prior.
        data: folder of the demonstrations, for the sentence.
        theirs: their spec.

    Raises:
        UserError: naming the first field that differs.
    """
    found = difference(ours.spec, theirs)
    if found:
        raise UserError(
            f"{data} holds other data than {prior} was trained on: {found}; name demonstrations "
            "of the same robot, or a prior that was trained on such data"
        )


def check_finite(inverted: Inverted, entries: Sequence[EpisodeEntry], data: Path) -> None:
    """Refuse what no number can be given of.

    Raises:
        UserError: naming the first step whose latent or likelihood is not finite.
    """
    is_finite = np.isfinite(inverted.latents).all(1) & np.isfinite(inverted.log_prob_per_dim)
    is_finite &= np.isfinite(inverted.restored_error)
    if not is_finite.all():
        row = int(np.argmin(is_finite))
        raise UserError(
            f"{data}: the prior gives the action of episode {_index(inverted, entries, row)}, step "
            f"{inverted.steps[row]}, no finite latent: it is too far from all that the prior was "
            "trained on; leave that episode out, or see that its actions are in the robot's units"
        )


def measures(
    inverted: Inverted, entries: Sequence[EpisodeEntry], bounds: Sequence[float], num_worst: int
) -> dict[str, Any]:
    """Measures of demonstrations, of all of them or of some, as `metrics.json` has them.

    Args:
        inverted: finite; at least one step.
        entries: of all episodes of the dataset, in their order.
        bounds: of |z|.
        num_worst: steps to name.

    Returns:
        `log_prob_per_dim`, the mean over steps; `restored_error`, the largest of a step; `latents`,
        `mean` and `std` by dimension; `within`, see `shares_within`, a row a bound, and of uniform
        actions `uniform_all`; `restored`, the shares of `demonstrated` and `uniform` actions that f
        gives back, which is what an agent without a bound can produce; `least_likely`, the steps
        with the least likelihood, the least first.
    """
    return {
        "num_episodes": len(np.unique(inverted.episodes)),
        "num_transitions": len(inverted.latents),
        "log_prob_per_dim": float(inverted.log_prob_per_dim.mean()),
        "restored_error": float(inverted.restored_error.max()),
        "latents": {
            "mean": inverted.latents.mean(0).tolist(),
            "std": inverted.latents.std(0).tolist(),
        },
        "within": [
            {
                **shares_within(inverted.latents, bound),
                "uniform_all": shares_within(inverted.uniform_latents, bound)["all"],
            }
            for bound in bounds
        ],
        "restored": {
            "demonstrated": float((inverted.restored_error <= RESTORED_WITHIN).mean()),
            "uniform": float((inverted.uniform_error <= RESTORED_WITHIN).mean()),
        },
        "least_likely": least_likely(inverted, entries, num_worst),
    }


def measures_by_task(
    inverted: Inverted, entries: Sequence[EpisodeEntry], bounds: Sequence[float], num_worst: int
) -> dict[str, dict[str, Any]]:
    """`measures` of the demonstrations of each task, by its name."""
    tasks = np.array([entry.task for entry in entries])
    of_steps = tasks[inverted.episodes]
    return {
        str(task): measures(inverted.taken(of_steps == task), entries, bounds, num_worst)
        for task in np.unique(of_steps)
    }


def shares_within(latents: NDArray[np.float64], bound: float) -> dict[str, Any]:
    """Shares of latents (N, A) that an agent can choose whose z lies in [-bound, bound]^A.

    Returns:
        `latent_bound`; `by_dimension`, A shares; `all`, the share that is within in all dimensions
        at once; `normal_by_dimension` and `normal_all`, what both are for z ~ N(0, I).
    """
    is_within = np.abs(latents) <= bound
    normal = math.erf(bound / math.sqrt(2.0))
    return {
        "latent_bound": bound,
        "by_dimension": is_within.mean(0).tolist(),
        "all": float(is_within.all(1).mean()),
        "normal_by_dimension": normal,
        "normal_all": normal ** latents.shape[1],
    }


def least_likely(
    inverted: Inverted, entries: Sequence[EpisodeEntry], num_worst: int
) -> list[dict[str, Any]]:
    """The steps that a prior finds least likely, the least first, of equals the earlier one.

    Returns:
        Of each `episode`, its index in the recording; `task`; `step`, counted from 0;
        `log_prob_per_dim`; `dimension`, the one with the largest |z|, and `latent`, that z.
    """
    rows = np.argsort(inverted.log_prob_per_dim, kind="stable")[:num_worst]
    found = []
    for row in rows.tolist():
        dimension = int(np.argmax(np.abs(inverted.latents[row])))
        found.append(
            {
                "episode": _index(inverted, entries, row),
                "task": entries[inverted.episodes[row]].task,
                "step": int(inverted.steps[row]),
                "log_prob_per_dim": float(inverted.log_prob_per_dim[row]),
                "dimension": dimension,
                "latent": float(inverted.latents[row, dimension]),
            }
        )
    return found


def _index(inverted: Inverted, entries: Sequence[EpisodeEntry], row: int) -> int:
    return entries[int(inverted.episodes[row])].index


def _batches(
    prior: BehavioralPrior, transitions: Transitions, rng: np.random.Generator, progress: Progress
) -> Iterator[tuple[NDArray[np.float64], ...]]:
    low, high = prior.action_scale.box_arrays()
    num_steps = len(transitions.actions)
    for start in range(0, num_steps, BATCH):
        rows = np.arange(start, min(start + BATCH, num_steps))
        uniform = rng.uniform(low, high, (len(rows), len(low))).astype(np.float32)
        yield _inverted(prior, transitions.gather(rows), torch.from_numpy(uniform))
        progress(int(rows[-1]) + 1, num_steps, "inverting f at the demonstrated actions")


@torch.inference_mode()
def _inverted(
    prior: BehavioralPrior, batch: Batch, uniform: Tensor
) -> tuple[NDArray[np.float64], ...]:
    """Rows of `Inverted`: latents, log-likelihoods a dimension, errors; then of uniform actions."""
    batch = batch.to(prior.device)
    context = prior.context(batch.observations)
    z, log_det, error = _of_actions(prior, batch.actions, context)
    # The density by its definition, of the inverse that is there already
    normal = -0.5 * z.square().sum(1) - 0.5 * z.shape[1] * math.log(2.0 * math.pi)
    of_uniform = _of_actions(prior, to_device(uniform, prior.device), context)
    found = (z, (normal + log_det) / z.shape[1], error, of_uniform[0], of_uniform[2])
    return tuple(values.double().cpu().numpy() for values in found)


def _of_actions(
    prior: BehavioralPrior, actions: Tensor, context: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Latents (B, A) of the robot's actions, log_dets (B,) and errors of what is restored (B,)."""
    normalised = prior.action_scale.normalised(actions)
    z, log_det = prior.flow.inverse(normalised, context)
    return z, log_det, (prior.flow.decode(z, context) - normalised).abs().amax(1)
