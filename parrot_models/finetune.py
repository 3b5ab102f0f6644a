"""Stage `finetune`: learn one new task by reinforcement learning, with one method and one seed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from parrot_data.lockstep import Envs
from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import json_text, read_json, sha256_sources
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.methods.runs import AGENT, CONFIG, RunConfig, is_run_of, make_run, training_envs
from parrot_models.methods.table import Method, named_method
from parrot_models.networks.device import CPU
from parrot_models.rl.curve import success_rate
from parrot_models.rl.evaluation import EvaluateParams
from parrot_models.rl.latent_env import ViewedEnv
from parrot_models.rl.learner import EpisodeSummary, Learner
from parrot_models.rl.memory import make_memory
from parrot_models.rl.params import FinetuneParams
from parrot_models.rl.part_folder import data_manifest_sha256, part_sha256
from parrot_models.rl.results import write_results
from parrot_models.rl.sac import SAC
from parrot_models.rl.schedule import Schedule

__all__ = ["FinetuneParams", "finetune"]

CHECKPOINT = "checkpoint.pt"
OUTPUT = output_of(
    "finetune", CONFIG, keys=("task", "method", "seed", "agent", "prior_sha256"),
    files=(AGENT, "metrics.json", "evaluation.json", "curve.csv", "video.gif"),
    scratch=(CHECKPOINT,),
)  # fmt: skip


def finetune(
    params: FinetuneParams,
    evaluation: EvaluateParams,
    environment: EnvironmentParams,
    prior: Path,
    task: str,
    method: str,
    seed: int,
    out: Path,
    *,
    device: torch.device = CPU,
    skip_done: bool = False,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Learn a task and write agent, curve, metrics, evaluation and video into `out`.

    An interrupted run goes on from its last checkpoint and ends as if never interrupted. Another
    device changes the last bits of what is learned. With `skip_done`, a finished run of the same
    prior, params and seed in `out` is left as it is.

    Args:
        params: how to learn.
        evaluation: which episodes to judge by.
        environment: the world.
        prior: folder of what the method was pre-trained as, `Method.part`.
        task: its name.
        method: one of `METHODS`.
        seed: of the agent and its episodes.
        out: folder of the run, replaced at the end.
        device: where it learns.
        skip_done: see above.
        progress: told of every round of episodes.

    Returns:
        The metrics, as in metrics.json.

    Raises:
        UserError: no such task or method, or what it was pre-trained as is missing or broken.
    """
    of_method = named_method(method)
    config = RunConfig(
        schema_version=1,
        task=task,
        method=method,
        seed=seed,
        agent=params.agent,
        environment=environment,
        prior=_path_from(out, prior),
        params_sha256=_params_sha256(params, evaluation, environment),
        prior_sha256=part_sha256(of_method.part, prior),
        data_manifest_sha256=data_manifest_sha256(of_method.part, prior),
    )
    if skip_done and is_run_of(out, config):
        done: dict[str, Any] = read_json(out / "metrics.json")
        return done
    with open_work(out, OUTPUT, _fingerprint(config, device), [prior]) as work:
        env, agent = make_run(config, prior, device)
        with training_envs(config, env, params.num_envs) as envs:
            learner = _make_learner(
                params, of_method, environment.episode_steps, env, envs, agent, seed
            )
            history = _learn(params, learner, work.folder / CHECKPOINT, progress)
        metrics = write_results(
            work.folder, config, env, agent, history, evaluation=evaluation,
            curve_window=params.curve_window_episodes, curve_every=params.curve_every_episodes,
            num_filmed=params.video_episodes,
        )  # fmt: skip
        work.publish()
    return metrics


def _path_from(out: Path, prior: Path) -> str:
    """Path of the prior relative to the run, as found from where a link to the run leads."""
    target = os.path.realpath(out)
    if target != os.path.abspath(out):  # noqa: PTH100 - links stay as they are
        out, prior = Path(target), Path(os.path.realpath(prior))
    return Path(os.path.relpath(prior, out)).as_posix()


def _params_sha256(
    params: FinetuneParams, evaluation: EvaluateParams, environment: EnvironmentParams
) -> str:
    # The matrix is left out: another seed in it does not change this run.
    values = {
        "finetune": params.model_dump(exclude={"tasks", "methods", "seeds", "parts", "flows"}),
        "evaluate": evaluation.model_dump(),
        "environment": environment.model_dump(),
    }
    return hashlib.sha256(json_text(values).encode()).hexdigest()


def _fingerprint(config: RunConfig, device: torch.device) -> dict[str, Any]:
    return {
        "stage": "finetune",
        "config": config.model_dump(),
        "sources": sha256_sources(Path(__file__).parent),
        "device": device.type,
    }


def _make_learner(
    params: FinetuneParams,
    method: Method[Any],
    episode_steps: int,
    env: ViewedEnv,
    envs: Envs,
    agent: SAC,
    seed: int,
) -> Learner:
    return Learner(
        envs,
        env.view,
        agent,
        make_memory(params, method, env, episode_steps),
        _schedule(params, method),
        seed=seed,
        stores_executed=method.executed is not None,
        bootstraps=env.view.fewest_steps < episode_steps,
    )


def _schedule(params: FinetuneParams, method: Method[Any]) -> Schedule:
    return Schedule(
        warmup_steps=params.warmup_steps,
        critic_only_updates=params.critic_only_updates,
        batch_size=params.batch_size,
        utd=params.utd,
        total_steps=params.env_steps,
        final_rate=params.final_rate,
        guided_episodes=params.demo_episodes if method.keeps_demonstrations else 0,
        guided_share=params.explore_share if method.explores_with_prior else 0.0,
    )


def _learn(
    params: FinetuneParams, learner: Learner, checkpoint: Path, progress: Progress
) -> list[EpisodeSummary]:
    """Every training episode from the first on, those before the checkpoint included."""
    history = _resume(learner, checkpoint)
    progress(learner.env_steps, params.env_steps, "")
    while learner.env_steps < params.env_steps:
        before = learner.env_steps
        history += learner.run_round()
        every = params.checkpoint_every_steps
        if learner.env_steps // every > before // every:
            _save_checkpoint(learner, history, checkpoint)
        recent = success_rate(history[-params.curve_window_episodes :])
        done = min(learner.env_steps, params.env_steps)
        progress(done, params.env_steps, f"success {recent:.2f}")
    return history


def _resume(learner: Learner, checkpoint: Path) -> list[EpisodeSummary]:
    if not checkpoint.exists():
        return []
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    learner.load_state_dict(state["learner"])
    return [EpisodeSummary(**summary) for summary in state["history"]]


def _save_checkpoint(learner: Learner, history: Sequence[EpisodeSummary], checkpoint: Path) -> None:
    temporary = checkpoint.with_suffix(".tmp")
    summaries = [asdict(summary) for summary in history]
    torch.save({"learner": learner.state_dict(), "history": summaries}, temporary)
    temporary.replace(checkpoint)
