"""Stage `judge`: what a trained model does by itself in scenes that no data show."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import closing
from functools import partial
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
from parrot_data.streams import generator
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.world import World
from parrot_models.judging.card import judgement_card
from parrot_models.judging.models import JudgedModel, check_world, hashes_of, load_judged
from parrot_models.judging.params import JudgeParams
from parrot_models.judging.pieces import PIECES, measured
from parrot_models.judging.policies import Policy, uniform
from parrot_models.judging.probe import check_probe, draw_scenes, probe_errors
from parrot_models.judging.reach import Limits, limits_of, reach, reach_rows
from parrot_models.judging.rollouts import (
    demonstrations,
    families_of,
    mean_over,
    rates,
    reproduction,
)
from parrot_models.networks.device import CPU
from parrot_models.networks.stored import CONFIG

__all__ = ["JudgeParams", "judge"]

METRICS, CARD = "metrics.json", "README.md"
OUTPUT = output_of(
    "judge", CONFIG, keys=("params.judge", "model_sha256"), files=(METRICS, CARD, SEAL),
    scratch=(PIECES,),
)  # fmt: skip
ROLLOUTS, REPRODUCTION, PROBE = "rollouts", "reproduction", "probe_error"
REACH = "reach"
NO_FAMILIES = "the world has no unseen scenes"


class _Cell(NamedTuple):
    """A measurement: of what, of which policy (if any), in which family or task."""

    of: str
    policy: str
    place: str


class _Plan(NamedTuple):
    """What is measured, and why the rest is not, by what it would be of."""

    cells: Mapping[_Cell, Callable[[], Any]]
    not_judged: Mapping[str, str]


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
        The metrics: `kind`, of the model; `rollouts`, by policy, and `reproduction`, means over the
        families with each family's own under `families`; `reach`, of a prior, see `reach_rows`, a
        row for each agent that `judge.reach` asks of; `probe_error`, by features, a mean over
        tasks; `not_judged`, by name, why something that such a model can do was not measured.

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
    world = make_world(environment)
    code = {**code_of(__name__), "world": code_of_world(environment, world)}
    fingerprint = {**lineage, "code": code, "device": device.type}
    with open_work(out, OUTPUT, fingerprint, [model]) as work:
        judged = load_judged(model, device)
        check_world(model, judged.spec, world.spec)
        metrics = _measured(params, judged, world, work.folder, progress)
        write_json(work.folder / METRICS, metrics)
        write_json(work.folder / CONFIG, lineage)
        (work.folder / CARD).write_text(judgement_card(lineage, metrics), encoding="utf-8")
        seal(work.folder, [METRICS, CONFIG, CARD])
        work.publish()
    return metrics


def _measured(
    params: JudgeParams, judged: JudgedModel, world: World, work: Path, progress: Progress
) -> dict[str, Any]:
    plan = _plan(params, judged, world)
    labels = {" ".join(filter(None, cell)): each for cell, each in plan.cells.items()}
    found = dict(zip(plan.cells, measured(labels, work, progress), strict=True))
    return {
        "kind": judged.kind,
        **_metrics(found, limits_of(params.reach) if params.reach else []),
        "not_judged": {**plan.not_judged, **_not_repeated(found, judged.reproduction)},
    }


def _plan(params: JudgeParams, judged: JudgedModel, world: World) -> _Plan:
    families = families_of(world, params.families, "judge") if world.families else []
    plans = [
        _rollouts_plan(params, judged, world, families),
        _reproduction_plan(params, judged, world, families),
        _reach_plan(params, judged, world, families),
        _probe_plan(params, judged, world),
    ]
    return _Plan(
        {cell: measure for plan in plans for cell, measure in plan.cells.items()},
        {name: reason for plan in plans for name, reason in plan.not_judged.items()},
    )


def _rollouts_plan(
    params: JudgeParams, judged: JudgedModel, world: World, families: list[str]
) -> _Plan:
    if not judged.policies:
        return _Plan({}, {})
    if not families:
        return _Plan({}, {ROLLOUTS: NO_FAMILIES})
    acting = {**judged.policies, "random": uniform(judged.box)}
    cells = {
        _Cell(ROLLOUTS, name, family): partial(_rates, params, world, family, policy)
        for family in families
        for name, policy in acting.items()
    }
    return _Plan(cells, {})


def _reproduction_plan(
    params: JudgeParams, judged: JudgedModel, world: World, families: list[str]
) -> _Plan:
    if judged.repeat is None:
        return _Plan({}, {})
    demonstrator = world.demonstrator()
    if demonstrator is None:
        return _Plan({}, {REPRODUCTION: "the world demonstrates nothing"})
    if not families:
        return _Plan({}, {REPRODUCTION: NO_FAMILIES})

    def measure(family: str) -> dict[str, float]:
        repeat = judged.repeat
        assert repeat is not None
        with closing(world.unseen(family)) as env:
            return reproduction(
                world, env, demonstrator, params.seed, params.num_demonstrations, repeat,
                judged.reproduction,
            )  # fmt: skip

    cells = {_Cell(REPRODUCTION, "", family): partial(measure, family) for family in families}
    return _Plan(cells, {})


def _reach_plan(
    params: JudgeParams, judged: JudgedModel, world: World, families: list[str]
) -> _Plan:
    prior, asked = judged.prior, params.reach
    if prior is None:
        return _Plan({}, {})
    if asked is None:
        return _Plan({}, {REACH: "judge.reach is null"})
    demonstrator = world.demonstrator()
    if demonstrator is None:
        return _Plan({}, {REACH: "the world demonstrates nothing"})
    if not families:
        return _Plan({}, {REACH: NO_FAMILIES})

    def measure(family: str) -> dict[str, list[float]]:
        of_scenes = (demonstrator, params.seed, params.num_demonstrations)
        with closing(world.unseen(family)) as env:
            episodes = demonstrations(world, env, *of_scenes)
        rng = generator(params.seed, "judge: uniform actions to reach")
        return reach(prior, episodes, judged.box, limits_of(asked), rng) if episodes else {}

    return _Plan({_Cell(REACH, "", family): partial(measure, family) for family in families}, {})


def _probe_plan(params: JudgeParams, judged: JudgedModel, world: World) -> _Plan:
    probe = params.probe
    if probe is None:
        return _Plan({}, {PROBE: "judge.probe is null"})
    lacking = check_probe(probe, world)
    if lacking:
        return _Plan({}, {PROBE: lacking})

    def measure(task: str) -> dict[str, float]:
        with closing(world.make_env(task)) as env:
            scenes = draw_scenes(env, probe, judged.box, params.seed)
        return probe_errors(scenes, judged.encoders)

    return _Plan({_Cell(PROBE, "", task): partial(measure, task) for task in probe.tasks}, {})


def _rates(params: JudgeParams, world: World, family: str, policy: Policy) -> dict[str, float]:
    with closing(world.unseen(family)) as env:
        return rates(world, env, policy, params.seed, params.num_episodes)


def _not_repeated(found: Mapping[_Cell, Mapping[str, Any]], rate: str) -> dict[str, str]:
    """Families in which there was nothing to reproduce, or to reach."""
    return {
        f"{cell.of}, {cell.place}": "no demonstration succeeded"
        for cell, value in found.items()
        if (cell.of == REPRODUCTION and rate not in value) or (cell.of == REACH and not value)
    }


def _metrics(values: Mapping[_Cell, Mapping[str, Any]], limits: list[Limits]) -> dict[str, Any]:
    """What was measured, nested: see `judge`."""
    found: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for cell, value in values.items():
        found.setdefault((cell.of, cell.policy), {})[cell.place] = value
    metrics: dict[str, Any] = {}
    acted = {name: mean_over(value) for (of, name), value in found.items() if of == ROLLOUTS}
    if acted:
        metrics[ROLLOUTS] = acted
    if (REPRODUCTION, "") in found:
        metrics[REPRODUCTION] = mean_over(found[REPRODUCTION, ""])
    reached = {family: shares for family, shares in found.get((REACH, ""), {}).items() if shares}
    if reached:
        metrics[REACH] = reach_rows(limits, reached)
    if (PROBE, "") in found:
        probed = list(found[PROBE, ""].values())
        metrics[PROBE] = {k: float(np.mean([errors[k] for errors in probed])) for k in probed[0]}
    return metrics
