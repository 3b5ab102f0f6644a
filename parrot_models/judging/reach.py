"""Reach: the share of actions that agents over a prior's latents can produce.

A demonstrated or uniformly drawn action is inverted, z = f^-1(a; s). An agent in a box of z
produces it if z lies there; one without a box if f gives the action back, that is wherever the
inverse is one in floating point; one that edits f(z; s) if it can from the z of its box that is
next to the action's own: a lower bound, since another z may need less of an edit.

A matched flow is inverted finely and acts in one jump: of it, all of this is approximate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.episodes.episode import Episode
from parrot_models.judging.params import ReachParams
from parrot_models.judging.policies import Box
from parrot_models.networks.device import to_device
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.measures import RESTORED_WITHIN


class Limits(NamedTuple):
    """What an agent over latents may say: |z| at most, inf without a box, and its largest edit."""

    latent_bound: float
    edit_scale: float


def limits_of(params: ReachParams) -> list[Limits]:
    """Each box of z without an edit and with each, and at last no box."""
    boxes = [Limits(b, edit) for b in params.latent_bounds for edit in (0.0, *params.edit_scales)]
    return [*boxes, Limits(math.inf, 0.0)]


@torch.inference_mode()
def is_reached(
    prior: BehavioralPrior, actions: Tensor, context: Tensor, limits: Sequence[Limits]
) -> NDArray[np.bool_]:
    """Which of actions (N, A), each in its context (N, C), agents can produce: (limits, N)."""
    z = prior.inverse(actions, context)
    found = []
    for bound, edit_scale in limits:
        if math.isfinite(bound) and edit_scale == 0.0:
            found.append((z.abs() <= bound).all(-1))
            continue
        nearest = z.clamp(-bound, bound)
        error = (prior.decode(nearest, context) - actions).abs()
        largest = edit_scale * _half_width(prior) + RESTORED_WITHIN * prior.action_scale.scale
        found.append((error <= largest).all(-1))
    return torch.stack(found).cpu().numpy()


def reach(
    prior: BehavioralPrior,
    episodes: Sequence[Episode],
    box: Box,
    limits: Sequence[Limits],
    rng: np.random.Generator,
) -> dict[str, list[float]]:
    """Shares of actions that agents can produce in what was observed in episodes.

    Args:
        prior: frozen.
        episodes: demonstrations, of at least one step in all.
        box: to draw uniform actions from, at the same observations.
        limits: of the agents.
        rng: of these draws.

    Returns:
        A share for each of `limits`: `demonstrated`, of the actions of the episodes; `uniform`.
    """
    low, high = box
    found: dict[str, list[NDArray[np.bool_]]] = {"demonstrated": [], "uniform": []}
    for episode in episodes:
        observed = {k: _here(v[:-1], prior.device) for k, v in episode.observations.items()}
        with torch.inference_mode():
            context = prior.context(observed)
        drawn = rng.uniform(low, high, episode.actions.shape).astype(np.float32)
        for name, actions in (("demonstrated", episode.actions), ("uniform", drawn)):
            found[name].append(is_reached(prior, _here(actions, prior.device), context, limits))
    return {k: np.concatenate(of_k, 1).mean(1).tolist() for k, of_k in found.items()}


def reach_rows(
    limits: Sequence[Limits], by_family: Mapping[str, Mapping[str, Sequence[float]]]
) -> list[dict[str, float | None]]:
    """A row for each of `limits` of the shares that `reach` found, means over families.

    `latent_bound` is None where there is no box.
    """
    rows: list[dict[str, float | None]] = []
    for number, (bound, edit_scale) in enumerate(limits):
        names = next(iter(by_family.values()))
        means = {k: float(np.mean([each[k][number] for each in by_family.values()])) for k in names}
        box = bound if math.isfinite(bound) else None
        rows.append({"latent_bound": box, "edit_scale": edit_scale, **means})
    return rows


def _half_width(prior: BehavioralPrior) -> Tensor:
    low, high = prior.action_scale.box()
    return 0.5 * (high - low)


def _here(array: NDArray[np.generic], device: torch.device) -> Tensor:
    return to_device(torch.from_numpy(np.ascontiguousarray(array)), device)
