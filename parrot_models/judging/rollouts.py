"""What a policy does by itself in scenes of unseen objects, before it has learned a task."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.worlds.tabletop.env import ACTION_DIM, Observation, TabletopEnv
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_data.worlds.tabletop.scripts.collect import draw_random_task
from parrot_models.networks.device import to_device
from parrot_models.training.likelihood import ActionDensity

SelectAction = Callable[[Observation], NDArray[np.float32]]
FAMILIES = ("pick", "place")
NUM_OBJECTS = 2  # one of them the target: what the tasks look like


@dataclass(frozen=True)
class RolloutRates:
    """Shares of rollouts.

    Attributes:
        success_rate: the named target was picked or placed at the end. Nobody told the policy
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


def rollout_metrics(
    environment: EnvironmentParams,
    policies: Mapping[str, Callable[[], SelectAction]],
    seed: int,
    num_episodes: int,
    before_family: Callable[[int, str], None],
) -> dict[str, float]:
    """Rates of policies in unseen scenes of both families, and their means.

    Args:
        environment: the world.
        policies: by name; each makes its policy anew, with the same chance, for every family.
        seed: of the scenes.
        num_episodes: rollouts a family and policy.
        before_family: told the number of each family, from 1, and its name.

    Returns:
        `pick_NAME_RATE`, `place_NAME_RATE` and, their mean, `NAME_RATE`; rates are those of
        `RolloutRates`.
    """
    metrics: dict[str, float] = {}
    means: dict[str, float] = {}
    for number, family in enumerate(FAMILIES, start=1):
        before_family(number, family)
        env = unseen_scenes(environment, family, NUM_OBJECTS)
        for name, make_policy in policies.items():
            for rate, value in asdict(
                rollout_rates(env, make_policy(), seed, num_episodes)
            ).items():
                metrics[f"{family}_{name}_{rate}"] = value
                means[f"{name}_{rate}"] = means.get(f"{name}_{rate}", 0.0) + value
        env.close()
    return metrics | {name: total / len(FAMILIES) for name, total in means.items()}


def observed(observation: Observation, device: torch.device) -> tuple[Tensor, Tensor | None]:
    """An observation as a batch of one: image (1, S, S, 3) and, if it has it, proprioception."""
    seen = {k: to_device(torch.from_numpy(v)[None], device) for k, v in observation.items()}
    return seen["image"], seen.get("proprioception")


def sampling_policy(density: ActionDensity, generator: torch.Generator) -> SelectAction:
    """Sample a ~ p(a | s) anew at every step; the generator is on the density's device."""

    @torch.inference_mode()
    def select_action(observation: Observation) -> NDArray[np.float32]:
        context = density.context(*observed(observation, density.device))
        return density.sample(context, generator)[0].cpu().numpy()

    return select_action


def random_policy(rng: np.random.Generator) -> SelectAction:
    """Draw actions uniformly from the box."""

    def select_action(_observation: Observation) -> NDArray[np.float32]:
        return rng.uniform(-1.0, 1.0, ACTION_DIM).astype(np.float32)

    return select_action
