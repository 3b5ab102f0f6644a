"""dvc.yaml of a project: the stages of this repository's own, on the locked Parrot.

What a stage of this repository depends on as sources is one hash in a project's `parrot.lock`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import yaml

from cli.project_templates import template

LOCK = "parrot.lock"
PACKAGES = ("parrot_data", "parrot_models")
MAKE_DATA = ("generate", "filter", "shard")
ACT = ("judge", "parts", "finetune", "report")
IN_OWN_WORLD = ("generate", "judge", "finetune")
EPISODES, SHARDS = "data/episodes", "data/shards"
AUDIT: dict[str, Any] = {
    "desc": "Say how well the prior fits demonstrations: name those of the task to learn",
    "cmd": f"parrot audit models/prior --data {SHARDS} --out audited",
    "deps": [*PACKAGES, "models/prior", SHARDS],
    "params": ["audit"],
    "outs": ["audited"],
}
HEADER = f"""\
# The pipeline, made by `parrot init`. Stages depend on their data, on params.yaml, and on a hash of
# Parrot's code for each of them in {LOCK}, which `parrot init --upgrade .` writes anew.
"""
WIDTH = 100


@dataclass(frozen=True)
class Shape:
    """Which stages a project has.

    Attributes:
        begins: the first of them.
        acts: whether agents learn in a world; else an audit ends the pipeline.
        data: path of a dataset that is there already, below the project; None where a stage makes
            it, or where it is yet to be imported.
        module: path of the code of the user's own world, below the project; None without.
    """

    begins: Literal["generate", "filter", "train_prior"]
    acts: bool
    data: str | None = None
    module: str | None = None


def stages_of(shape: Shape) -> dict[str, Any]:
    """The stages of a project by name, as dvc.yaml has them."""
    left_out = {
        "generate": (),
        "filter": ("generate",),
        # The report tells what was not kept, which shards alone do not
        "train_prior": (*MAKE_DATA, "report"),
    }[shape.begins]
    stages = {name: stage for name, stage in _own_stages().items() if name not in left_out}
    if not shape.acts:
        stages = {name: stage for name, stage in stages.items() if name not in ACT}
        stages["audit"] = AUDIT
    return {name: _on_the_lock(name, stage, shape) for name, stage in stages.items()}


def pipeline_text(shape: Shape) -> str:
    """dvc.yaml of a project."""
    whole, stages = _own_pipeline(), stages_of(shape)
    outs = [_path(out).partition("${")[0] for stage in stages.values() for out in stage["outs"]]

    def is_made(path: str) -> bool:
        return any(path.startswith(out) for out in outs)

    plots = [
        plot
        for plot in whole["plots"]
        if all(is_made(path) for values in plot.values() for path in values["y"])
    ]
    pipeline = {"stages": stages, "metrics": list(filter(is_made, whole["metrics"]))}
    if plots:
        pipeline["plots"] = plots
    return HEADER + yaml.safe_dump(pipeline, sort_keys=False, width=WIDTH, allow_unicode=True)


def code_deps() -> dict[str, list[str]]:
    """What each stage that a project can have runs of Parrot, as paths of files and folders."""
    stages = {**_own_stages(), "audit": AUDIT}
    return {
        name: sorted(filter(_is_code, map(_path, stage["deps"]))) for name, stage in stages.items()
    }


def _on_the_lock(name: str, stage: dict[str, Any], shape: Shape) -> dict[str, Any]:
    """A stage with its entry of the lock in place of our sources, on the data that are there."""
    deps = [dep for dep in stage["deps"] if not _is_code(_path(dep))]
    if shape.module and name in IN_OWN_WORLD:
        deps.append(shape.module)
    first = ("desc", "matrix", "cmd")
    ordered: dict[str, Any] = {key: stage[key] for key in first if key in stage}
    if deps:
        ordered["deps"] = deps
    ordered["params"] = [*stage.get("params", ()), {LOCK: [f"stages.{name}"]}]
    ordered["outs"] = stage["outs"]
    made = {"filter": EPISODES, "train_prior": SHARDS}.get(shape.begins)
    if not shape.data or not made:
        return ordered
    replaced: dict[str, Any] = _replaced(ordered, made, shape.data)
    return replaced


def _replaced(value: Any, old: str, new: str) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(inner, old, new) for key, inner in value.items()}
    if isinstance(value, list):
        return [_replaced(inner, old, new) for inner in value]
    return value.replace(old, new) if isinstance(value, str) else value


def _is_code(path: str) -> bool:
    return Path(path).parts[0] in PACKAGES


def _path(entry: str | dict[str, Any]) -> str:
    return entry if isinstance(entry, str) else next(iter(entry))


@cache
def _own_pipeline() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load(template("pipeline.yaml"))
    return values


def _own_stages() -> dict[str, Any]:
    stages: dict[str, Any] = _own_pipeline()["stages"]
    return stages
