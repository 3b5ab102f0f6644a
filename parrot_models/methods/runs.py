"""What a run of finetune leaves behind, and how an agent is rebuilt from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium
import numpy as np
import torch
from gymnasium.spaces import Dict
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from parrot_data.episodes.rollout import SelectAction
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.seal import check_seal, is_sealed, seal
from parrot_data.streams import generator
from parrot_models.cards.run_card import run_card
from parrot_models.methods.params import EvaluateParams, FinetuneParams
from parrot_models.methods.part import Trained, load_part, part_sha256
from parrot_models.methods.privileged import with_privileged
from parrot_models.methods.table import make_agent, named_method
from parrot_models.networks.declared import Forms, declared_in, forms_of, no_larger_than
from parrot_models.networks.device import CPU
from parrot_models.networks.finite import check_weights
from parrot_models.networks.precision import Products
from parrot_models.networks.stored import UNFIT, first_line
from parrot_models.rl.evaluation import (
    curve_rows,
    evaluate_agent,
    record_gif,
    steps_to,
    when_due,
    write_curve,
)
from parrot_models.rl.learner import EpisodeSummary
from parrot_models.rl.params import AgentParams
from parrot_models.rl.sac import SAC
from parrot_models.rl.views import ViewedEnv

AGENT, CARD = "agent.safetensors", "README.md"
CONFIG = "config.json"
COMMAND = "parrot finetune"
METRICS, EVALUATION, CURVE, FILM = "metrics.json", "evaluation.json", "curve.csv", "video.gif"
Env = gymnasium.Env[Any, Any]
_UNREADABLE: tuple[type[Exception], ...] = (OSError, SafetensorError, *UNFIT)


class RunConfig(BaseModel):
    """`config.json` of a run: enough to rebuild its agent and to tell where it came from.

    Attributes:
        schema_version: of this file.
        task, method, seed: the cell of the matrix.
        agent: the agent's params.
        environment: params of the world it learned in, which its name says how to read.
        spec: what that world's observations and actions are.
        prior: path of the folder of what the method was pre-trained as, relative to the run's; for
            most methods it is a behavioral prior.
        params_sha256: of every param the run was made with, those of agent and environment among
            them.
        prior_sha256: of every file that makes it, by name.
        data_manifest_sha256: of the shards it was trained on, as it says itself.
        demonstrations_sha256: of the manifest of demonstrations of the task; None without any.
        products: how the machine that it was learned on came by the agent's precision; None before
            there is a run, and of runs that did not say so. Another is no other run.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    schema_version: Literal[2]
    task: str
    method: str
    seed: int
    agent: AgentParams
    environment: dict[str, Any]
    spec: EpisodeSpec
    prior: str
    params_sha256: str
    prior_sha256: dict[str, str]
    data_manifest_sha256: str
    demonstrations_sha256: str | None
    products: Products | None = None


@dataclass(frozen=True)
class Run:
    """A run's agent, and what it acts in.

    Attributes:
        env: as the agent meets it.
        agent: trained or not.
        part: what its method was pre-trained as.
    """

    env: ViewedEnv
    agent: SAC
    part: Trained

    def policy(self) -> SelectAction:
        """The agent at its mode, asked where a decision is due."""
        return when_due(self.env, partial(self.agent.act, deterministic=True))


def make_run(
    config: RunConfig,
    folder: Path,
    env: Env,
    device: torch.device = CPU,
    weights: Forms | None = None,
) -> Run:
    """An untrained agent of a run, over what was pre-trained into a folder.

    Args:
        config: of the run.
        folder: what was pre-trained.
        env: of the run's task.
        device: of the agent.
        weights: what the agent will be given, if it is; one that is much larger is not made.

    Raises:
        TooLargeError: the agent is.
        UserError: there is no such method, or nothing pre-trained on data like the world's.
    """
    method = named_method(config.method)
    part = load_part(method.part, folder, config.spec, config.agent.precision, device)
    plain = env.observation_space
    assert isinstance(plain, Dict)
    if method.critics_are_told:
        plain = with_privileged(plain, config.spec, config.method)
    view = method.make_view(plain, part, config.agent)
    with nullcontext() if weights is None else no_larger_than(weights):
        agent = make_agent(method, config.agent, view, part, config.seed)
    return Run(ViewedEnv(env, view), agent, part)


def save_agent(folder: Path, config: RunConfig, agent: SAC) -> None:
    """Write config.json and agent.safetensors.

    Raises:
        UserError: weights are not finite.
    """
    weights = {name: tensor.contiguous() for name, tensor in agent.weights().items()}
    check_weights(weights, "the agent")
    write_json(folder / CONFIG, config.model_dump())
    (folder / AGENT).write_bytes(save(weights))


def load_run(
    folder: Path,
    make_env: Callable[[RunConfig], Env],
    prior: Path | None = None,
    device: torch.device = CPU,
) -> tuple[RunConfig, Run]:
    """Rebuild the trained agent of a run, and what it acts in.

    Args:
        folder: written by finetune.
        make_env: the environment of a run.
        prior: folder of what it was pre-trained as, where that no longer lies where it was found.
        device: of the agent.

    Raises:
        UserError: a file is missing, broken or was changed, or the prior is not the one the agent
            learned on.
    """
    config = read_config(folder)
    check_seal(folder, COMMAND)
    prior_folder = folder / config.prior if prior is None else prior
    part = named_method(config.method).part
    if part_sha256(part, prior_folder) != config.prior_sha256:
        raise UserError(
            f"{prior_folder} is not the {part.name} that {folder} was fine-tuned on: name that "
            "one, run `dvc checkout`, or fine-tune again"
        )
    env = make_env(config)
    try:
        weights = declared_in(folder / AGENT)
        run = make_run(config, prior_folder, env, device, weights)
        if forms_of(run.agent.weights()) != weights:
            raise ValueError("its weights have other names, shapes or types")
        run.agent.load_weights(load_file(folder / AGENT))
    except _UNREADABLE as error:
        raise UserError(
            f"{folder / AGENT} does not hold the agent of {CONFIG} beside it "
            f"({first_line(error)}): run `dvc checkout`, or fine-tune again"
        ) from error
    check_weights(run.agent.weights(), f"the agent in {folder}")
    return config, run


def read_config(folder: Path) -> RunConfig:
    """Read config.json of a run.

    Raises:
        UserError: it is missing, or not such a config.
    """
    path = folder / CONFIG
    try:
        return RunConfig.model_validate(read_json(path))
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        key = ".".join(map(str, first["loc"]))
        raise UserError(
            f"{path} is no config of a run ({key}: {first['msg']}): name a folder that "
            "`parrot finetune` wrote"
        ) from error


def is_run_of(folder: Path, config: RunConfig) -> bool:
    """Whether a finished run of the same task, method, seed, params and prior lies in a folder.

    Where the prior lies does not matter, and the code that made the run is not compared.

    Raises:
        UserError: it is that run, and its files were changed.
    """
    if not (folder / CONFIG).exists() or not is_sealed(folder):
        return False
    try:
        found = read_config(folder)
    except UserError:  # a run of another version, to be made again
        return False
    of_machine = {"prior", "products"}  # and no part of what was asked for
    if found.model_dump(exclude=of_machine) != config.model_dump(exclude=of_machine):
        return False
    check_seal(folder, COMMAND)
    return True


def write_results(
    folder: Path,
    config: RunConfig,
    run: Run,
    history: Sequence[EpisodeSummary],
    params: FinetuneParams,
    evaluation: EvaluateParams,
) -> dict[str, Any]:
    """Judge a trained agent and write all there is to say of its run.

    Written: the agent, metrics.json, evaluation.json, curve.csv, if asked for video.gif, and
    README.md, its card, then the seal.

    Args:
        folder: of the run.
        config: of the run.
        run: as it is after the last training episode.
        history: every training episode.
        params: how it learned; of these, windows of the curve and the length of the film.
        evaluation: which episodes to judge by.

    Returns:
        The metrics, as in metrics.json.

    Raises:
        UserError: its weights or its actions are not finite.
    """
    env, agent, num_episodes = run.env, run.agent, evaluation.num_episodes
    check_weights(agent.weights(), "the agent")
    policy = run.policy()
    result = evaluate_agent(env, policy, seed=evaluation.seed, num_episodes=num_episodes)
    rows = curve_rows(history, params.curve_window_episodes, params.curve_every_episodes)
    metrics = {
        "task": config.task,
        "method": config.method,
        "seed": config.seed,
        "success_rate": result.success_rate,
        **_untrained_success_rates(env, evaluation),
        "num_episodes": num_episodes,
        "outcomes": result.outcomes,
        "steps_to_50": steps_to(rows, 0.5),
        "steps_to_80": steps_to(rows, 0.8),
        "env_steps": history[-1].env_steps,
    }
    save_agent(folder, config, agent)
    write_json(folder / METRICS, metrics)
    write_json(folder / EVALUATION, {"seed": evaluation.seed, **asdict(result)})
    write_curve(folder / CURVE, rows)
    written = [AGENT, CONFIG, METRICS, EVALUATION, CURVE]
    filmed = range(min(params.video_episodes, num_episodes))
    if filmed:
        film = folder / FILM
        record_gif(env, policy, seed=evaluation.seed, episode_indices=filmed, path=film)
        written.append(FILM)
    card = run_card(config.model_dump(mode="json"), metrics, is_filmed=FILM in written)
    (folder / CARD).write_text(card, encoding="utf-8")
    seal(folder, [*written, CARD])
    return metrics


def _untrained_success_rates(env: ViewedEnv, evaluation: EvaluateParams) -> dict[str, float | None]:
    """Success of the warm-up's actions in the same episodes: where learning had to start from.

    For a method that acts through the prior it is the prior's own success on the task, drawn and,
    as z = 0 is often the stronger policy, at its mode; None where there is no such z. The chance is
    the evaluation's, so that runs of several seeds start from one number.
    """
    rng = generator(evaluation.seed, "finetune: untrained")

    def drawn(_observation: Any) -> NDArray[np.float32]:
        return env.sample_warmup_action(rng)

    def at_mode(_observation: Any) -> NDArray[np.float32]:
        mode = env.warmup_mode()
        assert mode is not None
        return mode

    def rate(policy: SelectAction) -> float:
        policy, num_episodes = when_due(env, policy), evaluation.num_episodes
        return evaluate_agent(
            env, policy, seed=evaluation.seed, num_episodes=num_episodes
        ).success_rate

    env.reset(seed=0)  # whether there is a mode is asked of a view that has seen something
    has_mode = env.warmup_mode() is not None
    return {
        "untrained_success_rate": rate(drawn),
        "untrained_mode_success_rate": rate(at_mode) if has_mode else None,
    }
