"""Stage `finetune`: learn one new task by reinforcement learning, with one method and one seed."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from gymnasium.spaces import Dict

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.interruption import held_back
from parrot_data.lockstep import EnvProcesses, Envs, OneEnv
from parrot_data.progress import Progress, Scalars, silent, unheard
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work, tidy
from parrot_data.stores.publish import json_text, read_json
from parrot_data.stores.seal import SEAL
from parrot_data.stores.sources import code_of
from parrot_data.worlds.make import code_of_world, make_task_env, make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.world import Env, World, known
from parrot_models.methods.demonstrations import (
    check_can_be_shown,
    manifest_sha256,
    read_demonstrations,
)
from parrot_models.methods.memory import make_memory
from parrot_models.methods.params import EvaluateParams, FinetuneParams
from parrot_models.methods.part import data_manifest_sha256, part_sha256
from parrot_models.methods.privileged import TellingEnv
from parrot_models.methods.runs import (
    AGENT,
    CARD,
    CONFIG,
    CURVE,
    RunConfig,
    is_run_of,
    make_run,
    write_results,
)
from parrot_models.methods.table import METHODS, Method, named_method
from parrot_models.networks.checkpoint import load_checkpoint, save_checkpoint
from parrot_models.networks.device import CPU
from parrot_models.networks.precision import products_of
from parrot_models.rl.evaluation import check_can_be_filmed, success_rate
from parrot_models.rl.growing_curve import GrowingCurve
from parrot_models.rl.learner import EpisodeSummary, Learner, Schedule

__all__ = ["FinetuneParams", "config_of_run", "finetune"]

_log = logging.getLogger(__name__)

CHECKPOINT = "checkpoint.pt"
OUTPUT = output_of(
    "finetune", CONFIG, keys=("task", "method", "seed", "agent", "prior_sha256"),
    files=(AGENT, SEAL, "metrics.json", "evaluation.json", CURVE, "video.gif", CARD),
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
    demonstrations: Path | None = None,
    device: torch.device = CPU,
    skip_done: bool = False,
    progress: Progress = silent,
    scalars: Scalars = unheard,
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
        demonstrations: folder that `shard` wrote; half of each batch is drawn from its episodes of
            the task.
        device: where it learns.
        skip_done: see above.
        progress: called after every round of episodes.
        scalars: called with each row of the curve, once it is known.

    Returns:
        The metrics, as in metrics.json.

    Raises:
        UserError: no such task or method, what it was pre-trained as is missing or broken, agents
            of the method cannot learn from demonstrations or these do not fit, or learning
            diverged; nothing is published then.
        Interrupted: a signal asked for it; the state after the last round was saved before.
    """
    of_method, world = named_method(method), make_world(environment)
    known(task, world.tasks, "task")
    shown = []
    if demonstrations is not None:
        check_can_be_shown(method, params.agent)
        shown = read_demonstrations(demonstrations, task, world.spec)
    told = (params, evaluation, environment, world, prior, task, method, seed, out)
    config = config_of_run(*told, demonstrations=demonstrations)
    if skip_done and is_run_of(out, config):
        tidy(out, OUTPUT)
        done: dict[str, Any] = read_json(out / "metrics.json")
        return done
    code = {**code_of_run(of_method), "world": code_of_world(environment, world)}
    products = products_of(params.agent.precision, device)
    config = config.model_copy(update={"products": products})
    fingerprint = {
        "stage": "finetune", "config": config.model_dump(), "code": code, "device": device.type,
    }  # fmt: skip
    with closing(world.make_env(task, "rgb_array" if params.video_episodes else None)) as env:
        if params.video_episodes:
            check_can_be_filmed(env)
        run = make_run(config, prior, env, device)
        # Before anything is written: it may be larger than the machine's memory
        of = (params, of_method, run.env.view, run.part, world.max_steps)
        memory = make_memory(*of, shown=shown)
        read = [prior] if demonstrations is None else [prior, demonstrations]
        with open_work(out, OUTPUT, fingerprint, read) as work:
            telling = (world.spec, method) if of_method.critics_are_told else None
            with _training_envs(params, environment, task, env, telling) as envs:
                learner = Learner(
                    envs, run.env.view, run.agent, memory, _schedule(params, of_method), seed=seed,
                    stores_executed=of_method.executed is not None,
                    bootstraps=run.env.view.fewest_steps < world.max_steps,
                )  # fmt: skip
                history = _learn(params, learner, work.folder, progress, scalars)
            metrics = write_results(work.folder, config, run, history, params, evaluation)
            work.publish()
    return metrics


def config_of_run(
    params: FinetuneParams,
    evaluation: EvaluateParams,
    environment: EnvironmentParams,
    world: World,
    prior: Path,
    task: str,
    method: str,
    seed: int,
    out: Path,
    *,
    demonstrations: Path | None = None,
) -> RunConfig:
    """What a run's config.json says, before there is a run: by it a finished one is recognised.

    Args are those of `finetune`, and the world of its environment.

    Raises:
        UserError: there is no such method, or what it was pre-trained as is missing.
    """
    part = named_method(method).part
    return RunConfig(
        schema_version=2, task=task, method=method, seed=seed, agent=params.agent,
        environment=environment.model_dump(), spec=world.spec, prior=_path_from(out, prior),
        params_sha256=_params_sha256(params, evaluation, environment),
        prior_sha256=part_sha256(part, prior),
        data_manifest_sha256=data_manifest_sha256(part, prior),
        demonstrations_sha256=None if demonstrations is None else manifest_sha256(demonstrations),
    )  # fmt: skip


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


def code_of_run(method: Method[Any]) -> dict[str, dict[str, str]]:
    """The stage's code, without that of the parts of other methods."""
    code, own = code_of(__name__), set(method.part.code)
    others = {path for other in METHODS.values() for path in other.part.code} - own
    kept = {
        name: digest
        for name, digest in code["sources"].items()
        if not any(Path(name).is_relative_to(Path("parrot_models", path)) for path in others)
    }
    return {**code, "sources": kept}


@contextmanager
def _training_envs(
    params: FinetuneParams,
    environment: EnvironmentParams,
    task: str,
    env: Env,
    telling: tuple[EpisodeSpec, str] | None,
) -> Iterator[Envs]:
    """What an agent learns in: this environment, or several like it in processes.

    `telling` is the world's spec and the method where they tell critics what is privileged.
    """
    make_env: Callable[[], Env] = partial(make_task_env, environment, task)
    if telling is not None:
        env = TellingEnv(env, *telling)
        make_env = partial(_make_telling_env, environment, task, *telling)
    if params.num_envs == 1:
        yield OneEnv(env)
        return
    space = env.observation_space
    assert isinstance(space, Dict)
    with EnvProcesses(make_env, params.num_envs, space, env.action_space) as envs:
        yield envs


def _make_telling_env(
    environment: EnvironmentParams, task: str, spec: EpisodeSpec, method: str
) -> TellingEnv:
    return TellingEnv(make_task_env(environment, task), spec, method)


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
    params: FinetuneParams, learner: Learner, folder: Path, progress: Progress, scalars: Scalars
) -> list[EpisodeSummary]:
    """Every training episode from the first on, those before the checkpoint included."""
    checkpoint, total = folder / CHECKPOINT, params.env_steps
    history = _resume(learner, checkpoint)
    if history:
        _log.info("learning goes on from step %s of %s", f"{learner.env_steps:,}", f"{total:,}")
    curve = GrowingCurve(
        folder / CURVE, params.curve_window_episodes, params.curve_every_episodes,
        history, learner.env_steps, scalars,
    )  # fmt: skip
    with held_back() as signals:
        progress(min(learner.env_steps, total), total, "")
        while learner.env_steps < total:
            before = learner.env_steps
            history += learner.run_round()
            curve.grow(is_over=learner.env_steps >= total)
            every = params.checkpoint_every_steps
            is_due = learner.env_steps // every > before // every or learner.env_steps >= total
            if is_due or signals:
                _save_checkpoint(learner, history, checkpoint)
                signals.release(f"step {learner.env_steps:,} of {total:,}")
            recent = success_rate(history[-params.curve_window_episodes :])
            progress(min(learner.env_steps, total), total, f"success {recent:.2f}")
    return history


def _resume(learner: Learner, checkpoint: Path) -> list[EpisodeSummary]:
    state = load_checkpoint(checkpoint)
    if state is None:
        return []
    learner.load_state_dict(state["learner"])
    return [EpisodeSummary(**summary) for summary in state["history"]]


def _save_checkpoint(learner: Learner, history: Sequence[EpisodeSummary], checkpoint: Path) -> None:
    summaries = [asdict(summary) for summary in history]
    save_checkpoint(checkpoint, {"learner": learner.state_dict(), "history": summaries})
