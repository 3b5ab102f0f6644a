"""The bound that a VAE over trajectories raises, and how far off its reconstructions are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Normal

from parrot_data.worlds.tabletop.motion import TRANSLATION_M
from parrot_models.baselines.trajectories_model import TrajectoryVAE, path_of
from parrot_models.networks.chance import torch_generator
from parrot_models.networks.precision import layers_in
from parrot_models.training.transitions import Batch

ACTION_DIMS = ("x", "y", "z", "turn_x", "turn_y", "turn_z", "gripper")


@dataclass(frozen=True, eq=False)
class Bound:
    """The bound's parts for B trajectories, each (B,), nats a trajectory.

    Attributes:
        log_prob: log p(a_1..T | z, s_1) of one z ~ q.
        path_log_prob: log p(c_1..T | z, s_1) of the same.
        kl: KL(q | N(0, I)).
    """

    log_prob: Tensor
    path_log_prob: Tensor
    kl: Tensor

    def raised(self, kl_weight: float) -> Tensor:
        """What training raises, mean over the trajectories."""
        return (self.log_prob + self.path_log_prob - kl_weight * self.kl).mean()


def bound_of(
    model: TrajectoryVAE, actions: Tensor, context: Tensor, noise: torch.Generator
) -> Bound:
    """The bound's parts.

    Args:
        model: the VAE.
        actions: (B, T, 7).
        context: (B, context_dim), of what is seen before the first.
        noise: draws z.
    """
    mean, std = model.encode(actions, context)
    z = mean + std * torch.randn(mean.shape, generator=noise)
    decoded = model.decode(z, context)
    return Bound(
        log_prob=_log_prob(actions, decoded, model.log_std_action),
        path_log_prob=_log_prob(path_of(actions), path_of(decoded), model.log_std_path),
        kl=(0.5 * (mean.square() + std.square() - 1) - std.log()).sum(-1),
    )


def _log_prob(values: Tensor, mean: Tensor, log_std: Tensor) -> Tensor:
    """Log-density (B,) of values (B, T, D)."""
    density = Normal(mean, log_std.exp(), validate_args=False)
    log_prob: Tensor = density.log_prob(values)  # type: ignore[no-untyped-call]
    return log_prob.sum((1, 2))


@torch.inference_mode()
def bound_metrics(
    model: TrajectoryVAE, batches: Iterable[Batch], seed: int, precision: str
) -> dict[str, float]:
    """The ELBO of actions and its parts, means over trajectories; the same chance at every call.

    Returns:
        elbo_per_dim, log_prob_per_dim: nats per action dimension; kl: nats a trajectory.
    """
    noise = torch_generator(seed, "trajectories: bound")
    log_prob = kl = count = num_dims = 0.0
    for batch in batches:
        with layers_in(precision, model.device):
            context = model.context(batch.images, batch.proprioception)
        bound = bound_of(model, batch.actions, context, noise)
        log_prob += float(bound.log_prob.sum())
        kl += float(bound.kl.sum())
        count += len(batch.actions)
        num_dims += batch.actions.numel()
    return {
        "elbo_per_dim": (log_prob - kl) / num_dims,
        "log_prob_per_dim": log_prob / num_dims,
        "kl": kl / count,
    }


@torch.inference_mode()
def error_metrics(model: TrajectoryVAE, batches: Iterable[Batch]) -> dict[str, Any]:
    """How far what the posterior's mean decodes to is from the trajectories themselves.

    Returns:
        action_error: by dimension, root of the mean square, in full actions.
        path_error_cm: mean distance between the two paths, over all steps.
    """
    errors, distances = [], []
    for batch in batches:
        context = model.context(batch.images, batch.proprioception)
        decoded = model.decode(model.encode(batch.actions, context)[0], context)
        errors.append((decoded - batch.actions).flatten(0, 1))
        off = path_of(decoded) - path_of(batch.actions)
        distances.append(off.norm(dim=-1).flatten())
    by_dim = torch.cat(errors).square().mean(0).sqrt().tolist()
    return {
        "action_error": dict(zip(ACTION_DIMS, by_dim, strict=True)),
        "path_error_cm": 100 * TRANSLATION_M * float(torch.cat(distances).mean()),
    }
