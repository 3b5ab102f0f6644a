"""What a frozen policy achieves on a fixed set of episodes, in numbers and in pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from parrot_data.progress import Progress, silent
from parrot_models.networks.finite import check_actions
from parrot_models.rl.batch import Observation

Policy = Callable[[Observation], NDArray[np.float32]]

MILLISECONDS_A_FRAME = 120
NUM_COLORS = 64


@dataclass(frozen=True)
class EvaluationResult:
    """What happened in each evaluation episode, in order.

    Attributes:
        successes: whether the task's predicate held after the last step.
        episode_returns: undiscounted sums of rewards.
        grasped: ids of all objects that were held at some step.
    """

    successes: list[bool]
    episode_returns: list[float]
    grasped: list[list[str]]

    @property
    def success_rate(self) -> float:
        """Share of the episodes that succeeded."""
        return sum(self.successes) / len(self.successes)

    def num_wrong_object(self, target: str) -> int:
        """Number of episodes in which an object other than the target was held."""
        return sum(any(name != target for name in names) for names in self.grasped)


def evaluate_agent(
    env: gymnasium.Env[Any, Any],
    policy: Policy,
    *,
    seed: int,
    num_episodes: int,
    progress: Progress = silent,
) -> EvaluationResult:
    """Run episodes 0 .. num_episodes - 1 of a seed: the same scenes for whoever is evaluated.

    Raises:
        UserError: an action is not finite.
    """
    successes, episode_returns, grasped = [], [], []
    for index in range(num_episodes):
        rewards, infos = _run_episode(env, policy, seed, index)
        successes.append(bool(infos[-1]["is_success"]))
        episode_returns.append(float(sum(rewards)))
        grasped.append(sorted({info["grasped"] for info in infos if info.get("grasped")}))
        progress(index + 1, num_episodes, f"success {sum(successes) / len(successes):.2f}")
    return EvaluationResult(successes, episode_returns, grasped)


def record_gif(
    env: gymnasium.Env[Any, Any],
    policy: Policy,
    *,
    seed: int,
    episode_indices: Sequence[int],
    path: Path,
) -> None:
    """Film some evaluation episodes, one after the other, as `env.render` shows them.

    Raises:
        ValueError: the env has no render mode that gives pictures.
    """
    frames: list[Image.Image] = []

    def film() -> None:
        picture = env.render()
        if not isinstance(picture, np.ndarray):
            raise ValueError("to film an env, make it with render_mode='rgb_array'")
        frames.append(Image.fromarray(picture).quantize(NUM_COLORS))

    for index in episode_indices:
        _run_episode(env, policy, seed, index, film)
    first, *rest = frames
    first.save(path, save_all=True, append_images=rest, duration=MILLISECONDS_A_FRAME, loop=0)


def _run_episode(
    env: gymnasium.Env[Any, Any],
    policy: Policy,
    seed: int,
    index: int,
    on_observation: Callable[[], None] = lambda: None,
) -> tuple[list[float], list[dict[str, Any]]]:
    """Rewards and infos of every step of one episode."""
    rewards, infos = [], []
    observation, _ = env.reset(seed=seed, options={"episode_index": index})
    on_observation()
    ended = False
    while not ended:
        action = policy(observation)
        check_actions(action, f"in evaluation episode {index}")
        observation, reward, terminated, truncated, info = env.step(action)
        on_observation()
        rewards.append(float(reward))
        infos.append(info)
        ended = terminated or truncated
    return rewards, infos
