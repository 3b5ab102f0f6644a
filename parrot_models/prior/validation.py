"""Everything a trained prior is judged by, as one table of numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.envs.params import EnvironmentParams
from parrot_data.envs.tabletop import make_task_env
from parrot_data.progress import Progress
from parrot_models.networks.device import to_device
from parrot_models.prior.batches import TransitionBatches
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.prior.likelihood import inverse_error, log_prob_per_dim
from parrot_models.prior.probe import ProbeScenes, draw_probe_scenes, probe_error_cm
from parrot_models.prior.rollouts import (
    RolloutRates,
    prior_policy,
    random_policy,
    rollout_rates,
    unseen_scenes,
)

NUM_ROLLOUT_OBJECTS = 2  # one of them the target: what the tasks look like
PROBE_TASKS = ("pick-bar", "pick-sculpture", "pick-cup")  # two unseen objects each
EVALUATION_BATCH = 1024


def validate(
    prior: BehavioralPrior,
    batches: TransitionBatches,
    environment: EnvironmentParams,
    seed: int,
    num_episodes: int,
    num_scenes: int,
    progress: Progress,
) -> dict[str, Any]:
    """Likelihood and invertibility on held-out episodes, rollouts and probes in unseen scenes.

    Args:
        prior: frozen.
        batches: the data it was trained on, and held-out episodes.
        environment: the world of rollouts and probes.
        seed: of rollouts and probes.
        num_episodes: rollouts a family and policy.
        num_scenes: scenes a probe.
        progress: told of every part.
    """
    held_out = list(batches.held_out(EVALUATION_BATCH))
    progress(1, 4, "likelihood of held-out episodes")
    metrics: dict[str, Any] = {
        "log_prob_per_dim": log_prob_per_dim(prior, held_out, "fp32"),
        "inverse_error": inverse_error(prior, held_out[0]),
    }
    for part, family in enumerate(("pick", "place"), start=2):
        progress(part, 4, f"rollouts, {family}")
        by_prior, at_random = _rollouts(prior, environment, family, seed, num_episodes)
        metrics |= _named(f"{family}_rollout", by_prior) | _named(f"{family}_random", at_random)
    metrics |= {
        f"{policy}_{rate}": (metrics[f"pick_{policy}_{rate}"] + metrics[f"place_{policy}_{rate}"])
        / 2
        for policy in ("rollout", "random")
        for rate in ("success_rate", "any_object_rate", "touch_rate")
    }
    progress(4, 4, "linear probes")
    metrics["probe_error_cm"] = _probe_errors(prior, environment, seed, num_scenes)
    return metrics


def _rollouts(
    prior: BehavioralPrior, environment: EnvironmentParams, family: str, seed: int, count: int
) -> tuple[RolloutRates, RolloutRates]:
    env = unseen_scenes(environment, family, NUM_ROLLOUT_OBJECTS)
    policy = prior_policy(prior, torch.Generator(prior.device).manual_seed(seed))
    by_prior = rollout_rates(env, policy, seed, count)
    at_random = rollout_rates(env, random_policy(np.random.default_rng(seed)), seed, count)
    env.close()
    return by_prior, at_random


def _named(name: str, rates: RolloutRates) -> dict[str, float]:
    return {
        f"{name}_success_rate": rates.success_rate,
        f"{name}_any_object_rate": rates.any_object_rate,
        f"{name}_touch_rate": rates.touch_rate,
    }


def _probe_errors(
    prior: BehavioralPrior, environment: EnvironmentParams, seed: int, num_scenes: int
) -> dict[str, float]:
    """Mean error over tasks from what agents see, its two parts, pixels and nothing."""
    device = prior.device
    encoders: Mapping[str, Callable[[ProbeScenes], NDArray[np.float32]]] = {
        "agent_features": lambda scenes: _in_chunks(
            scenes, lambda i, p: prior.encode(i, p).features, device
        ),
        "keypoints": lambda scenes: _in_chunks(scenes, lambda i, _p: prior.keypoints(i), device),
        "flow_features": lambda scenes: _in_chunks(scenes, prior.flow_features, device),
        "pixels": lambda scenes: scenes.images.astype(np.float32) / 255.0,
        "mean_guess": lambda scenes: np.zeros((len(scenes.images), 1), np.float32),
    }
    errors: dict[str, list[float]] = {name: [] for name in encoders}
    for task in PROBE_TASKS:
        env = make_task_env(task, environment)
        scenes = draw_probe_scenes(env, seed, num_scenes)
        env.close()
        for name, encode in encoders.items():
            errors[name].append(probe_error_cm(scenes, encode))
    return {name: float(np.mean(values)) for name, values in errors.items()}


@torch.inference_mode()
def _in_chunks(
    scenes: ProbeScenes, encode: Callable[[Tensor, Tensor], Tensor], device: torch.device
) -> NDArray[np.float32]:
    chunks = [
        encode(
            to_device(torch.from_numpy(scenes.images[start : start + EVALUATION_BATCH]), device),
            to_device(
                torch.from_numpy(scenes.proprioception[start : start + EVALUATION_BATCH]), device
            ),
        )
        for start in range(0, len(scenes.images), EVALUATION_BATCH)
    ]
    return torch.cat(chunks).float().cpu().numpy()
