"""Stage `explore`: how a prior explores, and how safely, beside chance and behavior cloning."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import write_json
from parrot_data.stores.sources import code_of
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.world import World
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.judging import policies
from parrot_models.judging.exploration_measures import measures
from parrot_models.judging.exploration_trace import check_traceable, trace_episode
from parrot_models.judging.models import box_of, check_world, hashes_of
from parrot_models.judging.params import ExploreParams
from parrot_models.judging.pieces import PIECES, measured
from parrot_models.judging.policies import Box, Policy
from parrot_models.judging.rollouts import families_of
from parrot_models.networks.stored import CONFIG
from parrot_models.prior.behavioral_prior import BehavioralPrior

__all__ = ["ExploreParams", "explore"]

OUTPUT = output_of(
    "explore", CONFIG, keys=("params.explore", "prior_sha256", "clone_sha256"),
    files=("metrics.json", "exploration.csv"), scratch=(PIECES,),
)  # fmt: skip
WHAT = ("policy", "family", "num_episodes")
Rows = list[dict[str, Any]]


def explore(
    params: ExploreParams,
    environment: EnvironmentParams,
    prior: Path,
    clone: Path | None,
    out: Path,
    *,
    progress: Progress = silent,
) -> Rows:
    """Roll every policy out in the same unseen scenes; write metrics.json and exploration.csv.

    An interrupted run keeps the policies it has measured and goes on with the next.

    Args:
        params: what to measure.
        environment: the world.
        prior: folder that train_prior wrote.
        clone: folder that `pretrain` wrote for "bc"; None to leave it out.
        out: folder of the result, replaced at the end.
        progress: called before each policy in each family.

    Returns:
        A row a policy and family of scenes: its names and its measures.

    Raises:
        UserError: prior or clone is missing or broken, or was trained on data of another world; the
            world has no unseen scenes, or does not tell where tool and objects are.
    """
    lineage = {
        "params": {"explore": params.model_dump(), "environment": environment.model_dump()},
        "prior_sha256": hashes_of(prior),
        "clone_sha256": hashes_of(clone) if clone else {},
    }
    folders = [folder for folder in (prior, clone) if folder]
    world = make_world(environment)
    code = {**code_of(__name__), "world": code_of_world(environment, world)}
    with open_work(out, OUTPUT, {**lineage, "code": code}, folders) as work:
        check_traceable(world.spec)
        acting = BehavioralPrior.load(prior)
        check_world(prior, acting.spec, world.spec)
        compared = _policies(params, world, acting, clone)
        rows = _measure(params, world, compared, box_of(acting), work.folder, progress)
        write_json(work.folder / "metrics.json", {"rows": rows})
        write_json(work.folder / CONFIG, lineage)
        (work.folder / "exploration.csv").write_text(_as_csv(rows), encoding="utf-8")
        work.publish()
    return rows


def _policies(
    params: ExploreParams, world: World, prior: BehavioralPrior, clone: Path | None
) -> dict[str, Policy]:
    """Policies by name, in the order of a table: from chance, over the prior, to the script."""
    found: dict[str, Policy] = {"random": policies.uniform(box_of(prior))}
    for bound in sorted(params.latent_bounds):
        found[f"prior |z|<{bound:g}"] = policies.bounded_latents(prior, bound)
    found["prior"] = policies.sampling(prior)
    if clone is not None:
        model = BehaviorCloning.load(clone)
        check_world(clone, model.spec, world.spec)
        found["bc"] = policies.sampling(model)
    demonstrator = world.demonstrator()
    if demonstrator is not None:
        found["script"] = policies.scripted(demonstrator)
    return found


def _measure(
    params: ExploreParams,
    world: World,
    compared: Mapping[str, Policy],
    box: Box,
    work: Path,
    progress: Progress,
) -> Rows:
    """A row for each policy in each family."""

    def row(family: str, name: str) -> dict[str, Any]:
        with closing(world.unseen(family)) as env:
            traces = [
                trace_episode(world, env, compared[name], box, params.seed, index)
                for index in range(params.num_episodes)
            ]
        what = {"policy": name, "family": family, "num_episodes": params.num_episodes}
        return {**what, **measures(traces, params.cell_m)}

    families = families_of(world, params.families, "explore")
    cells = [(family, name) for family in families for name in compared]
    rows = {f"{family}, {name}": partial(row, family, name) for family, name in cells}
    return measured(rows, work, progress)


def _as_csv(rows: Rows) -> str:
    buffer = io.StringIO()
    measured_names = dict.fromkeys(name for row in rows for name in row if name not in WHAT)
    writer = csv.DictWriter(buffer, [*WHAT, *measured_names], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
