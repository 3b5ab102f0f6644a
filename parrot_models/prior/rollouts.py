"""What a prior does by itself, beside uniform random actions, in scenes of unseen objects."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from parrot_data.envs.params import EnvironmentParams
from parrot_data.envs.tabletop import ACTION_DIM, Observation, TabletopEnv
from parrot_data.scripted.collect import draw_random_task
from parrot_models.networks.device import to_device
from parrot_models.prior.behavioral_prior import BehavioralPrior

SelectAction = Callable[[Observation], NDArray[np.float32]]


@dataclass(frozen=True)
class RolloutRates:
    """Shares of rollouts.

    Attributes:
        success_rate: the named target was picked or placed at the end. Nobody told the prior
            which object that is.
        any_object_rate: some object was picked or placed at the end.
        touch_rate: an object was touched at some step.
    """

    success_rate: float
    any_object_rate: float
    touch_rate: float


def unseen_scenes(environment: EnvironmentParams, family: str, num_objects: int) -> TabletopEnv:
    """Random scenes of one family with `num_objects` objects, and a container, never trained on."""
    counts = [num_objects, num_objects]
    return TabletopEnv(
        environment, lambda rng: draw_random_task(rng, {family: 1.0}, counts, "test")
    )


def rollout_rates(
    env: TabletopEnv, select_action: SelectAction, seed: int, num_episodes: int
) -> RolloutRates:
    """Roll a policy out in episodes 0 to `num_episodes` of a seed."""
    outcomes = []
    for index in range(num_episodes):
        observation, info = env.reset(seed=seed, options={"episode_index": index})
        is_touched = is_truncated = False
        while not is_truncated:
            observation, _, _, is_truncated, info = env.step(select_action(observation))
            is_touched |= bool(info["touched"])
        done = info["placed" if env.task.family == "place" else "lifted"]
        outcomes.append((info["is_success"], bool(done), is_touched))
    success_rate, any_object_rate, touch_rate = np.mean(outcomes, axis=0).tolist()
    return RolloutRates(success_rate, any_object_rate, touch_rate)


def prior_policy(prior: BehavioralPrior, generator: torch.Generator) -> SelectAction:
    """Sample a ~ p(a | s) anew at every step; the generator is on the prior's device."""

    def select_action(observation: Observation) -> NDArray[np.float32]:
        seen = {
            k: to_device(torch.from_numpy(v)[None], prior.device) for k, v in observation.items()
        }
        with torch.inference_mode():
            context = prior.context(seen["image"], seen.get("proprioception"))
            actions = prior.sample(context, generator)
        return actions[0].cpu().numpy()

    return select_action


def random_policy(rng: np.random.Generator) -> SelectAction:
    """Draw actions uniformly from the box."""

    def select_action(_observation: Observation) -> NDArray[np.float32]:
        return rng.uniform(-1.0, 1.0, ACTION_DIM).astype(np.float32)

    return select_action
