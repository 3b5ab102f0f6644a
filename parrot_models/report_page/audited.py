"""What an audit said of tasks beforehand, beside what agents then did: read, matched, measured."""

from __future__ import annotations

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from pydantic import BaseModel, ValidationError

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json, sha256_file
from parrot_data.stores.seal import check_seal
from parrot_models.report_page.learning import Run

CONFIG, METRICS = "config.json", "metrics.json"
COMMAND = "parrot audit --out"
METHOD = "parrot"  # the one that acts through the audited prior as it is


class _Within(BaseModel):
    latent_bound: float
    all: float


class _Measured(BaseModel):
    log_prob_per_dim: float
    within: list[_Within]


class _Rates(BaseModel):
    success_rate: float


class _Metrics(BaseModel):
    """The part of an audit's metrics.json that is compared."""

    tasks: dict[str, _Measured]
    rollouts: dict[str, dict[str, _Rates]] = {}
    is_training_data: bool


class _AuditConfig(BaseModel):
    """The part of an audit's config.json that says what it is of."""

    prior_sha256: dict[str, str]
    params: dict[str, Any]


class _Agent(BaseModel):
    reference_std: float


class _RunConfig(BaseModel):
    """The same of a run's config.json."""

    prior_sha256: dict[str, str]
    agent: _Agent
    environment: dict[str, Any]


@dataclass(frozen=True)
class TaskAudited:
    """A task that was both audited and learned; None where the audit does not tell.

    Attributes:
        task: its name.
        log_prob_per_dim: of its demonstrations' actions, nats.
        within: share of these at |z| of up to two standard deviations of the agents' reference, in
            all dimensions at once.
        sampled, mode: success of the untrained prior, and of its z = 0, in the audit's rollouts.
        success_rate: final, of the agents of `METHOD`, mean over seeds.
        num_seeds: of these.
        steps_to_50, steps_to_80: until success while learning reached 0.5 or 0.8, median over
            seeds; one that never did counts as later than all others, and None is never.
        num_reached_50, num_reached_80: of the seeds, those that reached it.
        others: final success of every other method, mean over seeds.
    """

    task: str
    log_prob_per_dim: float | None
    within: float | None
    sampled: float | None
    mode: float | None
    success_rate: float
    num_seeds: int
    steps_to_50: float | None
    num_reached_50: int
    steps_to_80: float | None
    num_reached_80: int
    others: Mapping[str, float]


@dataclass(frozen=True)
class Audited:
    """An audit beside the runs.

    Attributes:
        folder: of the audit.
        tasks: that both know, in the order of the runs.
        left_out: tasks of the runs that were not audited.
        latent_bounds: two standard deviations of the reference Gaussian that agents of `METHOD`
            are held near: one, unless they differ.
        is_training_data: whether the prior was trained on the audited demonstrations.
    """

    folder: Path
    tasks: Sequence[TaskAudited]
    left_out: Sequence[str]
    latent_bounds: Sequence[float]
    is_training_data: bool


def read_audited(folder: Path, prior: Path, runs: Sequence[Run]) -> Audited:
    """Read an audit, and put it beside the runs of the report.

    Args:
        folder: that `parrot audit --out` wrote.
        prior: of the report.
        runs: of all methods.

    Raises:
        UserError: it cannot be read or was changed; it is of another prior than the report or its
            runs of `METHOD`, or acted in another world than these; or there is nothing to compare:
            no such run, or no task of theirs.
    """
    if not (folder / METRICS).is_file() or not (folder / CONFIG).is_file():
        raise UserError(f"{folder} is no audit: name a folder that `{COMMAND}` wrote")
    check_seal(folder, COMMAND)
    told = _read(_Metrics, folder / METRICS, COMMAND)
    origin = _read(_AuditConfig, folder / CONFIG, COMMAND)
    ours = [run for run in runs if run.key.method == METHOD]
    bounds = _checked(folder, origin, prior, ours, acts=bool(told.rollouts))
    by_task: dict[str, list[Run]] = {}
    for run in runs:
        by_task.setdefault(run.key.task, []).append(run)
    known = told.tasks.keys() | told.rollouts.keys()
    if not known & by_task.keys():
        raise UserError(
            f"{folder} audits no task of the runs ({', '.join(by_task)}): audit demonstrations of "
            "these, or leave --audited away"
        )
    return Audited(
        folder=folder,
        tasks=[_beside(task, told, bounds, by_task[task]) for task in by_task if task in known],
        left_out=[task for task in by_task if task not in known],
        latent_bounds=bounds,
        is_training_data=told.is_training_data,
    )


def _checked(
    folder: Path, audited: _AuditConfig, prior: Path, runs: Sequence[Run], *, acts: bool
) -> list[float]:
    """Twice the runs' reference_std, once all is of one prior and of one world."""
    if not runs:
        raise UserError(
            f"{folder} is compared with what agents of {METHOD} learn, and finetune.methods does "
            "not name it: add it, or leave --audited away"
        )
    hashes = {p.name: sha256_file(p) for p in (*prior.glob("*.safetensors"), *prior.glob(CONFIG))}
    if hashes != audited.prior_sha256:
        raise _other_prior(folder, prior)
    bounds: set[float] = set()
    for run in runs:
        found = _read(_RunConfig, run.folder / CONFIG, "parrot finetune")
        if found.prior_sha256 != audited.prior_sha256:
            raise _other_prior(folder, run.folder)
        if acts and found.environment != audited.params.get("environment"):
            raise UserError(
                f"{folder} rolled the prior out in another world than {run.folder} learned in: "
                "their section environment differs; run `parrot audit --judge` with that of the "
                "run, or fine-tune again"
            )
        bounds.add(2 * found.agent.reference_std)
    return sorted(bounds)


def _other_prior(folder: Path, of: Path) -> UserError:
    return UserError(
        f"{folder} is an audit of another prior than that of {of}: run `{COMMAND}` again with "
        "that one, or name its own audit"
    )


def _beside(task: str, told: _Metrics, bounds: Sequence[float], runs: Sequence[Run]) -> TaskAudited:
    measured, acted = told.tasks.get(task), told.rollouts.get(task, {})
    within = {row.latent_bound: row.all for row in measured.within} if measured else {}
    ours = [run for run in runs if run.key.method == METHOD]
    others = dict.fromkeys(run.key.method for run in runs if run.key.method != METHOD)
    to_50, to_80 = ([getattr(run, f"steps_to_{rate}") for run in ours] for rate in (50, 80))
    return TaskAudited(
        task=task,
        log_prob_per_dim=measured.log_prob_per_dim if measured else None,
        within=within.get(bounds[0]) if len(bounds) == 1 else None,
        sampled=acted["sampled"].success_rate if acted else None,
        mode=acted["mode"].success_rate if acted else None,
        success_rate=_mean_success(ours),
        num_seeds=len(ours),
        steps_to_50=_median(to_50),
        num_reached_50=_num_reached(to_50),
        steps_to_80=_median(to_80),
        num_reached_80=_num_reached(to_80),
        others={
            method: _mean_success([run for run in runs if run.key.method == method])
            for method in others
        },
    )


Said = TypeVar("Said", bound=BaseModel)


def _read(model: type[Said], path: Path, command: str) -> Said:
    try:
        return model.model_validate(read_json(path))
    except ValidationError as error:
        names = ", ".join(".".join(map(str, each["loc"])) for each in error.errors())
        raise UserError(f"{path} lacks a valid {names}: run `{command}` again") from error


def _mean_success(runs: Sequence[Run]) -> float:
    return float(np.mean([run.success_rate for run in runs]))


def _median(steps: Collection[int | None]) -> float | None:
    median = statistics.median(np.inf if value is None else value for value in steps)
    return float(median) if np.isfinite(median) else None


def _num_reached(steps: Collection[int | None]) -> int:
    return sum(value is not None for value in steps)
