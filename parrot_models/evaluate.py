"""Stage `evaluate`: measure a fine-tuned agent again, frozen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from parrot_data.progress import Progress, silent
from parrot_data.worlds.tabletop.tasks import named_task
from parrot_models.methods.runs import load_run
from parrot_models.networks.device import CPU
from parrot_models.rl.evaluation import evaluate_agent
from parrot_models.rl.params import EvaluateParams

__all__ = ["EvaluateParams", "evaluate"]


def evaluate(
    params: EvaluateParams,
    run: Path,
    *,
    prior: Path | None = None,
    device: torch.device = CPU,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Run the agent of a finetune run, as it stands, over the evaluation episodes.

    Args:
        params: which episodes.
        run: folder that finetune wrote; nothing in it is changed.
        prior: folder of its prior, where that no longer lies where the run found it.
        device: where the agent runs.
        progress: told of every episode.

    Returns:
        success_rate, mean episode_return and num_wrong_object, with what they are about.

    Raises:
        UserError: the run or its prior is missing or broken, or the prior is another one.
    """
    config, env, agent = load_run(run, prior, device)
    result = evaluate_agent(
        env,
        lambda observation: agent.act(observation, deterministic=True),
        seed=params.seed,
        num_episodes=params.num_episodes,
        progress=progress,
    )
    return {
        "task": config.task,
        "method": config.method,
        "seed": config.seed,
        "success_rate": result.success_rate,
        "episode_return": sum(result.episode_returns) / params.num_episodes,
        "num_wrong_object": result.num_wrong_object(named_task(config.task).target),
        "num_episodes": params.num_episodes,
    }
