"""Stage `evaluate`: measure a fine-tuned agent again, frozen."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Any

import torch

from parrot_data.progress import Progress, silent
from parrot_models.judging.runs import world_of
from parrot_models.methods.params import EvaluateParams
from parrot_models.methods.runs import load_run
from parrot_models.networks.device import CPU
from parrot_models.rl.evaluation import evaluate_agent

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
        progress: called after every episode.

    Returns:
        success_rate, mean episode_return and rates of other outcomes, with what they are about.

    Raises:
        UserError: the run or its prior is missing or broken, the prior is another one, or the world
            is no longer what it was.
    """
    config, loaded = load_run(
        run, lambda config: world_of(config).make_env(config.task), prior, device
    )
    with closing(loaded.env) as env:
        result = evaluate_agent(
            env,
            loaded.policy(),
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
        "outcomes": result.outcomes,
        "num_episodes": params.num_episodes,
    }
