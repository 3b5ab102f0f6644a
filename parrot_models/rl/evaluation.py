"""What an agent achieves: on a fixed set of episodes, in a film, and while it learns."""

from __future__ import annotations

import csv
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.rollout import OnStep, Rollout, SelectAction, episode_seed, roll_out
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_models.networks.finite import check_actions
from parrot_models.rl.gif import gif_bytes, scaled
from parrot_models.rl.learner import EpisodeSummary
from parrot_models.rl.replay import Observation
from parrot_models.rl.views import ViewedEnv

Env = gymnasium.Env[Any, Any]

COLUMNS = ("env_steps", "success_rate", "num_episodes", "episode_return")
INFO_COLUMNS = ("critic_loss", "value", "actor_loss", "entropy", "temperature")
MILLISECONDS_A_FRAME = 120
NUM_COLORS = 64
MOST_HEIGHT = 160  # of a run's film, pixels: a report holds those of all runs


@dataclass(frozen=True)
class EvaluationResult:
    """What happened in each evaluation episode, in order.

    Attributes:
        successes: whether the task was achieved after the last step.
        episode_returns: undiscounted sums of rewards.
        outcomes: share of the episodes in which each other thing happened that the environment
            tells of, by name: `info["outcomes"]` of the last step.
    """

    successes: list[bool]
    episode_returns: list[float]
    outcomes: dict[str, float]

    @property
    def success_rate(self) -> float:
        """Share of the episodes that succeeded."""
        return sum(self.successes) / len(self.successes)


def evaluate_agent(
    env: Env,
    policy: SelectAction,
    *,
    seed: int,
    num_episodes: int,
    progress: Progress = silent,
) -> EvaluationResult:
    """Run episodes 0 .. num_episodes - 1 of a seed: the same scenes for whoever is evaluated.

    Raises:
        UserError: an action is not finite, or the environment does not say whether it succeeded.
    """
    successes, episode_returns = [], []
    counts: dict[str, int] = {}
    for index in range(num_episodes):
        rollout = _run_episode(env, policy, seed, index)
        successes.append(rollout.success)
        episode_returns.append(rollout.episode_return)
        for name, happened in rollout.infos[-1].get("outcomes", {}).items():
            counts[name] = counts.get(name, 0) + bool(happened)
        progress(index + 1, num_episodes, f"success {sum(successes) / len(successes):.2f}")
    outcomes = {name: count / num_episodes for name, count in sorted(counts.items())}
    return EvaluationResult(successes, episode_returns, outcomes)


def when_due(env: ViewedEnv, decide: SelectAction) -> SelectAction:
    """A policy in an environment that is asked where a decision is due; in between it holds."""
    held: NDArray[np.float32] | None = None

    def select_action(observation: Observation) -> NDArray[np.float32]:
        nonlocal held
        if held is None or env.view.is_due[0]:
            held = decide(observation)
        return held

    return select_action


def check_can_be_filmed(env: Env) -> None:
    """See that an environment shows itself.

    Raises:
        UserError: it does not.
    """
    env.reset(seed=0)
    _frame(env)


def record_gif(
    env: Env, policy: SelectAction, *, seed: int, episode_indices: Sequence[int], path: Path
) -> None:
    """Film some evaluation episodes, one after the other, as `env.render` shows them, or smaller.

    Raises:
        UserError: the environment gives no images of itself.
    """
    episodes = [film_episode(env, policy, seed=seed, index=index) for index in episode_indices]
    images = [image for episode in episodes for image in episode.images]
    frames = [scaled(image, min(len(image), MOST_HEIGHT)) for image in images]
    durations = [MILLISECONDS_A_FRAME] * len(frames)
    path.write_bytes(gif_bytes(frames, durations, num_colors=NUM_COLORS))


@dataclass(frozen=True)
class FilmedEpisode:
    """What was shown of an episode, from its reset to its last step.

    Attributes:
        images: uint8 (H, W, 3) each.
        successes: whether the task was achieved when each was taken.
        success: whether it was after the last step.
    """

    images: list[NDArray[np.uint8]]
    successes: list[bool]
    success: bool


def film_episode(
    env: Env, policy: SelectAction, *, seed: int, index: int, every: int = 1
) -> FilmedEpisode:
    """Run one evaluation episode and keep what `env.render` shows.

    Args:
        env: the environment.
        policy: acts.
        seed: of the evaluation.
        index: of the episode.
        every: of so many steps one is shown, and the last in any case.

    Raises:
        UserError: an action is not finite, or the environment gives no images of itself or does
            not say whether it succeeded.
    """
    images: list[NDArray[np.uint8]] = []
    num_seen = 0

    def film(env: Env) -> None:
        nonlocal num_seen
        if num_seen % every == 0:
            images.append(_frame(env))
        num_seen += 1

    rollout = _run_episode(env, policy, seed, index, film)
    told = [bool(info.get("is_success", False)) for info in rollout.infos]
    successes = told[::every]
    if len(rollout.actions) % every:
        images.append(_frame(env))
        successes.append(told[-1])
    return FilmedEpisode(images, successes, rollout.success)


def _run_episode(
    env: Env, policy: SelectAction, seed: int, index: int, on_step: OnStep | None = None
) -> Rollout:
    """One episode of finite actions."""

    def select_action(observation: Observation) -> NDArray[np.float32]:
        action = policy(observation)
        check_actions(action, f"in evaluation episode {index}")
        return action

    return roll_out(env, lambda _env: select_action, episode_seed(seed, index), on_step)


def _frame(env: Env) -> NDArray[np.uint8]:
    try:
        image = env.render()
    except NotImplementedError:  # gymnasium's own, of an environment that has no render
        image = None
    if not isinstance(image, np.ndarray) or (image.dtype, *image.shape[2:]) != (np.uint8, 3):
        raise UserError(
            "the environment gives no RGB images to film (render mode rgb_array): let it render, "
            "or, to fine-tune without a film, set finetune.video_episodes to 0"
        )
    return image.copy()  # some show the same array again, with another image


def curve_rows(
    history: Sequence[EpisodeSummary],
    window: int,
    every: int,
    *,
    since: int = 0,
    is_over: bool = True,
) -> list[dict[str, float]]:
    """Rows of curve.csv: means over the last `window` training episodes, every few episodes.

    The first row is that of the first full window, or the last episode's in a run without one.

    Args:
        history: every training episode so far.
        window: see above.
        every: episodes between rows.
        since: only rows that end after so many episodes.
        is_over: whether no episode follows, so that there is a row of the last one in any case.
    """
    last = len(history)
    ends = range(window, last + 1, every)
    due = list(ends[bisect_right(ends, since) :])
    if is_over and last > since and last not in ends:
        due.append(last)
    rows = []
    for end in due:
        episodes = history[max(0, end - window) : end]
        rows.append(
            {
                "env_steps": episodes[-1].env_steps,
                "success_rate": success_rate(episodes),
                "num_episodes": len(episodes),
                "episode_return": sum(e.episode_return for e in episodes) / len(episodes),
                **episodes[-1].info,
            }
        )
    return rows


def steps_to(rows: Sequence[dict[str, float]], rate: float) -> int | None:
    """Env steps at the first row of a curve that reached a success rate, None if none did."""
    reached = (int(r["env_steps"]) for r in rows if r["success_rate"] >= rate)
    return next(reached, None)


def write_curve(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Write the rows as CSV; what no update told yet stays empty."""
    path.unlink(missing_ok=True)
    append_to_curve(path, rows)


def append_to_curve(path: Path, rows: Sequence[dict[str, float]]) -> None:
    """Add rows at the end of such a file, or begin one with them."""
    with path.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, (*COLUMNS, *INFO_COLUMNS), lineterminator="\n")
        if file.tell() == 0:
            writer.writeheader()
        writer.writerows({name: round(value, 6) for name, value in row.items()} for row in rows)


def success_rate(episodes: Sequence[EpisodeSummary]) -> float:
    """Share of the episodes that succeeded."""
    return sum(episode.success for episode in episodes) / len(episodes)
