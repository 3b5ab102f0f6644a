"""Stage `explore`: how a prior explores, and how safely, beside chance and behavior cloning."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import read_json, sha256_file, sha256_sources, write_json
from parrot_data.worlds.tabletop.params import EnvironmentParams
from parrot_models.baselines.bc_model import BehaviorCloning
from parrot_models.judging.exploration_measures import measures
from parrot_models.judging.exploration_policies import make_policies
from parrot_models.judging.exploration_trace import MakePolicy, trace_episode
from parrot_models.judging.rollouts import unseen_scenes
from parrot_models.prior.behavioral_prior import BehavioralPrior

CONFIG = "config.json"
FAMILIES = ("pick", "place")
OUTPUT = output_of(
    "explore", CONFIG, keys=("params.explore", "prior_sha256", "clone_sha256"),
    files=("metrics.json", "exploration.csv"), scratch=("*.piece",),
)  # fmt: skip
WHAT = ("policy", "family", "num_episodes")
Rows = list[dict[str, Any]]


class ExploreParams(BaseModel):
    """Section `explore` of params.yaml.

    Attributes:
        seed: of scenes and policies; the same scenes for every policy.
        num_episodes: of each policy in each family of scenes.
        num_objects: objects in a scene, all of the test split.
        latent_bounds: bounds of |z| to sample the prior within, beside no bound.
        cell_m: side of the cells that visited positions are counted in, m.
        opening_cell_m: the same for the gripper's opening.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    seed: int = Field(ge=0)
    num_episodes: int = Field(ge=1)
    num_objects: int = Field(ge=1, le=3)
    latent_bounds: list[float]
    cell_m: float = Field(gt=0)
    opening_cell_m: float = Field(gt=0)


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
    code = sha256_sources(Path(__file__).parent)
    with open_work(out, OUTPUT, {**lineage, "code": code}, folders) as work:
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
    for done, (family, name) in enumerate(cells):
        progress(done, len(cells), f"{family}, {name}")
        piece = work / f"{done}.piece"
        if not piece.exists():
            write_json(piece, _row(params, environment, family, name, policies[name]))
        rows.append(read_json(piece))
    progress(len(cells), len(cells), "")
    return rows


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
