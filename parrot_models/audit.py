"""Stage `audit`: would this prior help on a task, by demonstrations of it and before any RL?"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.manifest import MANIFEST, load_manifest
from parrot_data.stores.outputs.layout import json_in, output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import sha256_file, write_json
from parrot_data.stores.seal import SEAL, seal
from parrot_data.stores.sources import code_of
from parrot_data.streams import generator
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.world import World
from parrot_models.auditing.figure import audit_figure
from parrot_models.auditing.measures import (
    check_finite,
    check_spec,
    invert,
    measures,
    measures_by_task,
)
from parrot_models.auditing.params import AuditParams
from parrot_models.auditing.text import audit_text
from parrot_models.judging import policies
from parrot_models.judging.models import box_of, check_world, hashes_of
from parrot_models.judging.pieces import PIECES, measured
from parrot_models.judging.policies import Policy
from parrot_models.judging.rollouts import rates
from parrot_models.networks.device import CPU
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.behavioral_prior import BehavioralPrior
from parrot_models.training.transitions import load_transitions

__all__ = ["Audit", "AuditParams", "audit"]

METRICS, FIGURE, TEXT, CACHE = "metrics.json", "audit.png", "audit.txt", "cache"
OUTPUT = output_of(
    "audit", CONFIG, keys=("params.audit", "prior_sha256", "data_manifest_sha256"),
    files=(SEAL, METRICS, FIGURE, TEXT), scratch=(CACHE, PIECES),
)  # fmt: skip


@dataclass(frozen=True)
class Audit:
    """What was found.

    Attributes:
        metrics: as metrics.json has them.
        text: the same, to be read.
        figure: the same, as PNG bytes.
    """

    metrics: dict[str, Any]
    text: str
    figure: bytes


@dataclass(frozen=True)
class _Inputs:
    """What an audit is of; `world` is None where nothing acts."""

    prior: Path
    data: Path
    world: World | None
    device: torch.device


def audit(
    params: AuditParams,
    prior: Path,
    data: Path,
    out: Path | None,
    *,
    environment: EnvironmentParams | None = None,
    device: torch.device = CPU,
    progress: Progress = silent,
) -> Audit:
    """Invert a prior's f at demonstrated actions; with an environment, roll the prior out as well.

    Written: metrics.json, audit.txt, audit.png, config.json (what they were made from) and the
    seal. An interrupted run keeps what it has decoded and rolled out.

    Args:
        params: what to measure.
        prior: folder that `train-prior` wrote.
        data: folder that `shard` wrote, of demonstrations; all of them are measured.
        out: folder of the result, replaced at the end; None to write nothing.
        environment: the world to act in; None not to act.
        device: where the prior is inverted, and acts.
        progress: called after each batch, and before each measurement of rollouts.

    Returns:
        The audit. Its metrics are those of `auditing.measures.measures`, of all demonstrations;
        `tasks`, the same of each task's, by its name; `held_out_log_prob_per_dim`, of the prior's
        own held-out episodes, None where its folder does not tell; `is_training_data`, whether it
        was trained on these very data; and with an environment `rollouts`, rates by task, then by
        policy.

    Raises:
        UserError: prior or data are missing or broken, or do not have the same spec; or params name
            a task that the world does not have.
    """
    manifest, config = data / MANIFEST, prior / CONFIG
    for path, command in ((config, "parrot train-prior"), (manifest, "parrot shard")):
        if not path.exists():
            raise UserError(f"{path} is missing: name a folder that `{command}` wrote")
    lineage: dict[str, Any] = {
        "params": {"audit": params.model_dump()},
        "prior_sha256": hashes_of(prior),
        "data_manifest_sha256": sha256_file(manifest),
    }
    code: dict[str, Any] = code_of(__name__)
    world = None
    if environment is not None:
        lineage["params"]["environment"] = environment.model_dump()
        world = make_world(environment)
        code = {**code, "world": code_of_world(environment, world)}
    inputs = _Inputs(prior, data, world, device)
    if out is None:
        with tempfile.TemporaryDirectory(prefix="parrot-audit-") as folder:
            return _audited(params, inputs, Path(folder), progress)
    fingerprint = {**lineage, "code": code, "device": device.type}
    with open_work(out, OUTPUT, fingerprint, [prior, data]) as work:
        found = _audited(params, inputs, work.folder, progress)
        write_json(work.folder / METRICS, found.metrics)
        write_json(work.folder / CONFIG, lineage)
        (work.folder / TEXT).write_text(f"{found.text}\n", encoding="utf-8")
        (work.folder / FIGURE).write_bytes(found.figure)
        seal(work.folder, [METRICS, CONFIG, TEXT, FIGURE])
        work.publish()
    return found


def _audited(params: AuditParams, inputs: _Inputs, work: Path, progress: Progress) -> Audit:
    manifest = load_manifest(inputs.data, "shards")
    acting = BehavioralPrior.load(inputs.prior).to(inputs.device)
    check_spec(inputs.prior, acting, inputs.data, manifest.spec)
    entries = list(manifest.entries(inputs.data))
    tasks = _tasks_of(params, inputs, acting, entries)
    transitions = load_transitions(inputs.data, work / CACHE, progress)
    rng = generator(params.seed, "audit: uniform actions")
    inverted = invert(acting, transitions, rng, progress)
    check_finite(inverted, entries, inputs.data)
    of = (inverted, entries, params.latent_bounds, params.num_worst)
    metrics = {
        **measures(*of),
        "tasks": measures_by_task(*of),
        **_of_its_training(inputs),
    }
    if inputs.world is not None:
        metrics["rollouts"] = _rollouts(params, inputs.world, acting, tasks, work, progress)
    return Audit(
        metrics,
        audit_text(metrics, acting.action_scale.is_bounded),
        audit_figure(inverted, metrics, params.num_worst),
    )


def _of_its_training(inputs: _Inputs) -> dict[str, Any]:
    """What a prior's folder tells of its own data, to compare with."""
    told, made_from = json_in(inputs.prior / METRICS), json_in(inputs.prior / CONFIG)
    likelihood = told.get("log_prob_per_dim") if isinstance(told, dict) else None
    trained_on = made_from.get("data_manifest_sha256")
    return {
        "held_out_log_prob_per_dim": likelihood if isinstance(likelihood, float) else None,
        "is_training_data": trained_on == sha256_file(inputs.data / MANIFEST),
    }


def _tasks_of(
    params: AuditParams, inputs: _Inputs, prior: BehavioralPrior, entries: Sequence[EpisodeEntry]
) -> list[str]:
    """Tasks to act in, those that params name or else those of the demonstrations."""
    world = inputs.world
    if world is None:
        return []
    check_world(inputs.prior, prior.spec, world.spec)
    wanted = params.tasks or sorted({entry.task for entry in entries})
    for task in wanted:
        if task not in world.tasks:
            where = "audit.tasks names" if params.tasks else f"{inputs.data} has demonstrations of"
            raise UserError(
                f"{where} {task!r}, which is no task of the world in section environment "
                f"({', '.join(world.tasks)}): name in audit.tasks those to act in"
            )
    return list(wanted)


def _rollouts(
    params: AuditParams,
    world: World,
    prior: BehavioralPrior,
    tasks: Sequence[str],
    work: Path,
    progress: Progress,
) -> dict[str, dict[str, dict[str, float]]]:
    """Rates of the untrained prior by task and policy, beside those of random actions."""
    acting: dict[str, Policy] = {
        "sampled": policies.sampling(prior),
        "mode": policies.most_likely_latent(prior),
        "random": policies.uniform(box_of(prior)),
    }

    def rate(task: str, policy: Policy) -> dict[str, float]:
        with closing(world.make_env(task)) as env:
            return rates(world, env, policy, params.seed, params.num_episodes)

    cells = [(task, name) for task in tasks for name in acting]
    labels = {f"{task}, {name}": partial(rate, task, acting[name]) for task, name in cells}
    found: dict[str, dict[str, dict[str, float]]] = {task: {} for task in tasks}
    for (task, name), value in zip(cells, measured(labels, work, progress), strict=True):
        found[task][name] = value
    return found
