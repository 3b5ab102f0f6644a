"""Stage `explore`: how a prior explores, and how safely, beside chance and behavior cloning."""

from __future__ import annotations

import csv
import io
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.proof import DamagedError, read_sealed, write_sealed
from parrot_data.stores.publish import read_json, sha256_file, write_json
from parrot_data.stores.sources import code_of
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.judging.exploration_measures import measures
from parrot_models.judging.exploration_policies import make_policies
from parrot_models.judging.exploration_trace import MakePolicy, trace_episode
from parrot_models.judging.params import ExploreParams
from parrot_models.judging.rollouts import unseen_scenes
from parrot_models.prior.behavioral_prior import BehavioralPrior

_log = logging.getLogger(__name__)
__all__ = ["ExploreParams", "explore"]

CONFIG = "config.json"
FAMILIES = ("pick", "place")
OUTPUT = output_of(
    "explore", CONFIG, keys=("params.explore", "prior_sha256", "clone_sha256"),
    files=("metrics.json", "exploration.csv"), scratch=("*.piece",),
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
        progress: told of every policy and family.

    Returns:
        A row a policy and family of scenes: its names and its measures.

    Raises:
        UserError: prior or clone is missing or broken, or was trained for another environment.
    """
    folders = [folder for folder in (prior, clone) if folder]
    for folder in folders:
        _check_environment(folder, environment)
    lineage = {
        "params": {"explore": params.model_dump(), "environment": environment.model_dump()},
        "prior_sha256": _sha256_of(prior),
        "clone_sha256": _sha256_of(clone) if clone else {},
    }
    with open_work(out, OUTPUT, {**lineage, "code": code_of(__name__)}, folders) as work:
        policies = make_policies(
            BehavioralPrior.load(prior),
            BehaviorCloning.load(clone) if clone else None,
            params.latent_bounds,
        )
        rows = _measure(params, environment, policies, work.folder, progress)
        write_json(work.folder / "metrics.json", {"rows": rows})
        write_json(work.folder / CONFIG, lineage)
        (work.folder / "exploration.csv").write_text(_as_csv(rows), encoding="utf-8")
        work.publish()
    return rows


def _measure(
    params: ExploreParams,
    environment: EnvironmentParams,
    policies: Mapping[str, MakePolicy],
    work: Path,
    progress: Progress,
) -> Rows:
    """A row for each policy in each family; what lies in the work folder is not measured again."""
    rows: Rows = []
    cells = [(family, name) for family in FAMILIES for name in policies]
    is_whole = [_is_whole(work / f"{number}.piece") for number in range(len(cells))]
    if any(is_whole):
        _log.info("goes on with %d of %d measurements done", sum(is_whole), len(cells))
    for done, (family, name) in enumerate(cells):
        progress(done, len(cells), f"{family}, {name}")
        piece = work / f"{done}.piece"
        if not is_whole[done]:
            write_sealed(piece, _row(params, environment, family, name, policies[name]))
        rows.append(read_sealed(piece))
    progress(len(cells), len(cells), "")
    return rows


def _is_whole(piece: Path) -> bool:
    if not piece.exists():
        return False
    try:
        read_sealed(piece)
    except DamagedError as error:
        _log.warning("%s %s: what it held is measured again.", piece, error)
        return False
    return True


def _row(
    params: ExploreParams,
    environment: EnvironmentParams,
    family: str,
    name: str,
    make_policy: MakePolicy,
) -> dict[str, Any]:
    env = unseen_scenes(environment, family, params.num_objects)
    traces = [
        trace_episode(env, make_policy, params.seed, index) for index in range(params.num_episodes)
    ]
    env.close()
    values = measures(traces, params.cell_m, params.opening_cell_m)
    return {"policy": name, "family": family, "num_episodes": params.num_episodes, **values}


def _check_environment(folder: Path, environment: EnvironmentParams) -> None:
    path = folder / CONFIG
    params = read_json(path).get("params", {})
    if params.get("environment") != environment.model_dump():
        raise UserError(
            f"{path} names another environment than the params: set the section environment back, "
            "or train again on data of the new one"
        )


def _sha256_of(folder: Path) -> dict[str, str]:
    """Hashes of config and weights, by name."""
    files = sorted([*folder.glob("*.safetensors"), folder / CONFIG])
    return {path.name: sha256_file(path) for path in files}


def _as_csv(rows: Rows) -> str:
    buffer = io.StringIO()
    measured = [name for name in rows[0] if name not in WHAT]
    writer = csv.DictWriter(buffer, [*WHAT, *measured], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()
