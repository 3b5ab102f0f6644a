"""What a run of finetune leaves behind, and how an agent is rebuilt from it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Literal

import gymnasium
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from parrot_data.env_processes import EnvProcesses
from parrot_data.errors import UserError
from parrot_data.lockstep import Envs, OneEnv
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.seal import check_seal, is_sealed
from parrot_data.worlds.tabletop.env import make_task_env
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.methods.table import named_method
from parrot_models.networks.declared import Forms, declared_in, forms_of, no_larger_than
from parrot_models.networks.device import CPU
from parrot_models.networks.finite import check_weights
from parrot_models.networks.stored import UNFIT, first_line
from parrot_models.rl.agent_params import AgentParams
from parrot_models.rl.compose import make_agent
from parrot_models.rl.latent_env import ViewedEnv
from parrot_models.rl.part_folder import load_part, part_sha256
from parrot_models.rl.sac import SAC

AGENT = "agent.safetensors"
CONFIG = "config.json"
COMMAND = "parrot finetune"
SCHEMA_VERSION = 1
_UNREADABLE: tuple[type[Exception], ...] = (OSError, SafetensorError, *UNFIT)


class RunConfig(BaseModel):
    """`config.json` of a run: enough to rebuild its agent and to tell where it came from.

    Attributes:
        schema_version: of this file.
        task, method, seed: the cell of the matrix.
        agent: the agent's params.
        environment: params of the world it learned in.
        prior: path of the folder of what the method was pre-trained as, relative to the run's; for
            most methods it is a behavioral prior.
        params_sha256: of every param the run was made with, those of agent and environment among
            them.
        prior_sha256: of every file that makes it, by name.
        data_manifest_sha256: of the shards it was trained on, as it says itself.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    schema_version: Literal[1]
    task: str
    method: str
    seed: int
    agent: AgentParams
    environment: EnvironmentParams
    prior: str
    params_sha256: str
    prior_sha256: dict[str, str]
    data_manifest_sha256: str


def make_run(
    config: RunConfig, folder: Path, device: torch.device = CPU, weights: Forms | None = None
) -> tuple[ViewedEnv, SAC]:
    """The env and an untrained agent of a run, over what was pre-trained into a folder.

    Args:
        config: of the run.
        folder: what was pre-trained.
        device: of the agent.
        weights: what the agent will be given, if it is; one that is much larger is not made.

    Raises:
        TooLargeError: the agent is.
        UserError: there is no such task or method, or nothing pre-trained for this environment.
    """
    method = named_method(config.method)
    part = load_part(method.part, folder, config.environment, config.agent.precision, device)
    env: gymnasium.Env[Any, Any] = make_task_env(config.task, config.environment)
    seen = ViewedEnv(env, method.make_view(env, part, config.agent))
    with nullcontext() if weights is None else no_larger_than(weights):
        return seen, make_agent(method, config.agent, seen, part, config.seed)


@contextmanager
def training_envs(config: RunConfig, env: ViewedEnv, num_envs: int) -> Iterator[Envs]:
    """What a run's agent learns in: the env that `make_run` gave, or several in processes."""
    if num_envs == 1:
        yield OneEnv(env.env)
        return
    space, actions = env.env.observation_space, env.env.action_space
    assert isinstance(space, gymnasium.spaces.Dict)
    assert actions.shape is not None
    make_env = partial(make_task_env, config.task, config.environment, render_mode=None)
    with EnvProcesses(make_env, num_envs, space, actions.shape[0]) as envs:
        yield envs


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
    folder: Path, prior: Path | None = None, device: torch.device = CPU
) -> tuple[RunConfig, ViewedEnv, SAC]:
    """Rebuild the env and the trained agent of a run.

    Args:
        folder: written by finetune.
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
    try:
        weights = declared_in(folder / AGENT)
        env, agent = make_run(config, prior_folder, device, weights)
        if forms_of(agent.weights()) != weights:
            raise ValueError("its weights have other names, shapes or types")
        agent.load_weights(load_file(folder / AGENT))
    except _UNREADABLE as error:
        raise UserError(
            f"{folder / AGENT} does not hold the agent of {CONFIG} beside it "
            f"({first_line(error)}): run `dvc checkout`, or fine-tune again"
        ) from error
    check_weights(agent.weights(), f"the agent in {folder}")
    return config, env, agent


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
    if found.model_dump(exclude={"prior"}) != config.model_dump(exclude={"prior"}):
        return False
    check_seal(folder, COMMAND)
    return True
