"""Stage `judge`: what a trained model does by itself in scenes that no data show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import write_json
from parrot_data.stores.seal import SEAL, seal
from parrot_data.stores.sources import code_of
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.world import Demonstrator, World
from parrot_models.judging.card import judgement_card
from parrot_models.judging.models import JudgedModel, check_world, hashes_of, load_judged
from parrot_models.judging.params import JudgeParams, ProbeParams
from parrot_models.judging.pieces import PIECES, measured
from parrot_models.judging.policies import Policy, uniform
from parrot_models.judging.probe import check_probe, draw_scenes, probe_errors
from parrot_models.judging.rollouts import families_of, mean_over, rates, reproduction
from parrot_models.networks.device import CPU
from parrot_models.networks.stored import CONFIG

__all__ = ["JudgeParams", "judge"]

METRICS, CARD = "metrics.json", "README.md"
OUTPUT = output_of(
    "judge", CONFIG, keys=("params.judge", "model_sha256"), files=(METRICS, CARD, SEAL),
    scratch=(PIECES,),
)  # fmt: skip
NO_FAMILIES = "the world has no unseen scenes"


class _Cell(NamedTuple):
    """A measurement: of what, of which policy (if any), in which family or task."""

    of: str
    policy: str
    place: str


class _Plan(NamedTuple):
    """What is measured, and why the rest is not, by what it would be of."""

    cells: dict[_Cell, Callable[[], Any]]
    not_judged: dict[str, str]


def judge(
    params: JudgeParams,
    environment: EnvironmentParams,
    model: Path,
    out: Path,
    *,
    device: torch.device = CPU,
    progress: Progress = silent,
) -> dict[str, Any]:
    """Roll a model out by itself in unseen scenes, and probe what its agents see.

    Written: metrics.json, README.md (what they mean), config.json (what they were made from) and
    the seal. An interrupted run keeps what it has measured and goes on with the rest.

    Args:
        params: what to measure.
        environment: the world.
        model: folder that `train-prior` or `pretrain` wrote.
        out: folder of the result, replaced at the end.
        device: where the model acts.
        progress: called before each measurement.

    Returns:
        The metrics. kind, of the model; rollouts, by policy: means over the families, and each
        family's under `families`; reproduction, of demonstrations, in the same form; probe_error,
        by features, the mean over tasks; not_judged, by name, why something that belongs to a model
        of this kind was not measured.

    Raises:
        UserError: the model is missing or broken, or is of other data than the world's; or params
            name what the world does not have.
    """
    # Which models the pipeline judges changes nothing in a judgement.
    lineage = {
        "params": {
            "judge": params.model_dump(exclude={"models"}),
            "environment": environment.model_dump(),
        },
        "model_sha256": hashes_of(model),
    }
    fingerprint = {**lineage, "code": code_of(__name__), "device": device.type}
    with open_work(out, OUTPUT, fingerprint, [model]) as work:
        judged, world = load_judged(model, device), make_world(environment)
        check_world(model, judged.spec, world.spec)
        plan = _plan(params, judged, world)
        labels = {" ".join(filter(None, cell)): each for cell, each in plan.cells.items()}
        values = measured(labels, work.folder, progress)
        metrics = _metrics(judged.kind, dict(zip(plan.cells, values, strict=True)))
        metrics["not_judged"] = plan.not_judged
        write_json(work.folder / METRICS, metrics)
        write_json(work.folder / CONFIG, lineage)
        (work.folder / CARD).write_text(judgement_card(lineage, metrics), encoding="utf-8")
        seal(work.folder, [METRICS, CONFIG, CARD])
        work.publish()
    return metrics


def _plan(params: JudgeParams, judged: JudgedModel, world: World) -> _Plan:
    cells: dict[_Cell, Callable[[], Any]] = {}
    not_judged: dict[str, str] = {}
    families = families_of(world, params.families, "judge") if world.families else []
    if judged.policies:
        acting = {**judged.policies, "random": uniform(judged.box)}
        for family in families:
            for name, policy in acting.items():
                cells[_Cell("rollouts", name, family)] = _rates(params, world, family, policy)
        if not families:
            not_judged["rollouts"] = NO_FAMILIES
    if judged.repeat is not None:
        demonstrator = world.demonstrator()
        if demonstrator is None or not families:
            lacking = NO_FAMILIES if demonstrator else "the world demonstrates nothing"
            not_judged["reproduction"] = lacking
        else:
            for family in families:
                cell = _Cell("reproduction", "", family)
                cells[cell] = _reproduction(params, world, family, demonstrator, judged)
    if params.probe is None:
        not_judged["probe_error"] = "judge.probe is null"
    elif lacking := check_probe(params.probe, world.spec):
        not_judged["probe_error"] = lacking
    else:
        for task in params.probe.tasks:
            cells[_Cell("probe_error", "", task)] = _probe(
                params, params.probe, world, task, judged
            )
    return _Plan(cells, not_judged)


def _rates(
    params: JudgeParams, world: World, family: str, policy: Policy
) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        with closing(world.unseen(family)) as env:
            return rates(env, policy, params.seed, params.num_episodes)

    return measure


def _reproduction(
    params: JudgeParams, world: World, family: str, demonstrator: Demonstrator, judged: JudgedModel
) -> Callable[[], dict[str, float]]:
    repeat = judged.repeat
    assert repeat is not None

    def measure() -> dict[str, float]:
        with closing(world.unseen(family)) as env:
            return reproduction(
                env, demonstrator, params.seed, params.num_demonstrations, repeat,
                judged.reproduction,
            )  # fmt: skip

    return measure


def _probe(
    params: JudgeParams, probe: ProbeParams, world: World, task: str, judged: JudgedModel
) -> Callable[[], dict[str, float]]:
    def measure() -> dict[str, float]:
        with closing(world.make_env(task)) as env:
            scenes = draw_scenes(env, probe, judged.box, params.seed)
        return probe_errors(scenes, judged.encoders)

    return measure


def _metrics(kind: str, values: Mapping[_Cell, Mapping[str, float]]) -> dict[str, Any]:
    metrics: dict[str, Any] = {"kind": kind}
    by_policy: dict[str, dict[str, Mapping[str, float]]] = {}
    for cell, value in values.items():
        by_policy.setdefault(cell.policy or cell.of, {})[cell.place] = value
    reproduced, probed = by_policy.pop("reproduction", {}), by_policy.pop("probe_error", {})
    if by_policy:
        metrics["rollouts"] = {name: mean_over(value) for name, value in by_policy.items()}
    if reproduced:
        metrics["reproduction"] = mean_over(reproduced)
    if probed:
        names = next(iter(probed.values()))
        metrics["probe_error"] = {
            name: float(np.mean([errors[name] for errors in probed.values()])) for name in names
        }
    return metrics
