"""What a finished run leaves behind: its agent, what it achieves, how it learned, a film."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from parrot_data.stores.publish import write_json
from parrot_data.stores.seal import seal
from parrot_data.streams import generator
from parrot_data.worlds.tabletop.tasks import named_task
from parrot_models.methods.runs import AGENT, CONFIG, RunConfig, save_agent
from parrot_models.networks.finite import check_weights
from parrot_models.rl.batch import Observation
from parrot_models.rl.curve import curve_rows, steps_to, write_curve
from parrot_models.rl.evaluation import evaluate_agent, record_gif
from parrot_models.rl.latent_env import ViewedEnv
from parrot_models.rl.learner import EpisodeSummary
from parrot_models.rl.params import EvaluateParams
from parrot_models.rl.sac import SAC


def write_results(
    folder: Path,
    config: RunConfig,
    env: ViewedEnv,
    agent: SAC,
    history: Sequence[EpisodeSummary],
    *,
    evaluation: EvaluateParams,
    curve_window: int,
    curve_every: int,
    num_filmed: int,
) -> dict[str, Any]:
    """Judge a trained agent and write all there is to say of its run.

    Written: the agent, metrics.json, evaluation.json, curve.csv and video.gif, then the seal.

    Args:
        folder: of the run.
        config: of the run.
        env: as it is after the last training episode.
        agent: the same.
        history: every training episode.
        evaluation: which episodes to judge by.
        curve_window: training episodes that a success rate of the curve is a mean of.
        curve_every: episodes between two rows of the curve.
        num_filmed: evaluation episodes in the film.

    Returns:
        The metrics, as in metrics.json.

    Raises:
        UserError: its weights or its actions are not finite.
    """
    check_weights(agent.weights(), "the agent")
    policy = partial(agent.act, deterministic=True)
    num_episodes = evaluation.num_episodes
    result = evaluate_agent(env, policy, seed=evaluation.seed, num_episodes=num_episodes)
    rows = curve_rows(history, curve_window, curve_every)
    metrics = {
        "task": config.task,
        "method": config.method,
        "seed": config.seed,
        "success_rate": result.success_rate,
        "untrained_success_rate": _untrained_success_rate(env, evaluation),
        "num_episodes": num_episodes,
        "num_wrong_object": result.num_wrong_object(named_task(config.task).target),
        "steps_to_50": steps_to(rows, 0.5),
        "steps_to_80": steps_to(rows, 0.8),
        "env_steps": history[-1].env_steps,
    }
    save_agent(folder, config, agent)
    write_json(folder / "metrics.json", metrics)
    write_json(folder / "evaluation.json", {"seed": evaluation.seed, **asdict(result)})
    write_curve(folder / "curve.csv", rows)
    filmed = range(min(num_filmed, num_episodes))
    record_gif(env, policy, seed=evaluation.seed, episode_indices=filmed, path=folder / "video.gif")
    seal(folder, (AGENT, CONFIG, "metrics.json", "evaluation.json", "curve.csv", "video.gif"))
    return metrics


def _untrained_success_rate(env: ViewedEnv, evaluation: EvaluateParams) -> float:
    """Success of the warm-up's actions in the same episodes: where learning had to start from.

    For a method that acts through the prior it is the prior's own success on the task; the chance
    is the evaluation's, so that runs of several seeds start from one number.
    """
    rng = generator(evaluation.seed, "finetune: untrained")

    def policy(_observation: Observation) -> Any:
        return env.sample_warmup_action(rng)

    return evaluate_agent(
        env, policy, seed=evaluation.seed, num_episodes=evaluation.num_episodes
    ).success_rate
