"""Keep dvc.lock to the stages that are: DVC leaves the entry of an item taken out of a matrix."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from parrot_data.errors import UserError


class Pruned(NamedTuple):
    """What `prune` found.

    Attributes:
        stages: dropped from a dvc.lock, as DVC addresses them.
        left_over: folders that no stage makes, beside those that stages of a matrix make.
    """

    stages: list[str]
    left_over: list[Path]


class _Stage(NamedTuple):
    pipeline: Path
    name: str
    outs: list[Path]


def prune(folder: Path) -> Pruned:
    """Drop what the dvc.lock of each pipeline holds of stages that are no more.

    No folder is removed: the runs of an item that was taken out are the user's.

    Args:
        folder: in a DVC repository; every pipeline that DVC sees there is pruned.

    Raises:
        UserError: there is no DVC repository, or DVC cannot read one of its pipelines.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(str(folder)) as repo:
            root = Path(repo.root_dir)
            stages = [
                _Stage(Path(stage.path), stage.name or "", [Path(out.fspath) for out in stage.outs])
                for stage in repo.index.stages
            ]
    except DvcException as error:
        why = str(error).splitlines()[0]
        raise UserError(f"dvc cannot read the pipelines of {folder.resolve()}: {why}") from None
    dropped, left_over = list[str](), set[Path]()
    for pipeline in sorted({stage.pipeline for stage in stages}):
        live = {stage.name for stage in stages if stage.pipeline == pipeline}
        beside = pipeline.relative_to(root).as_posix()
        for name, made in _drop(pipeline, live).items():
            dropped.append(name if beside == "dvc.yaml" else f"{beside}:{name}")
            left_over.update(made)
    for stage in stages:
        if "@" in stage.name:
            left_over.update(path for out in stage.outs for path in _beside(out, root))
    left_over -= {out for stage in stages for out in stage.outs}
    return Pruned(dropped, sorted(p.relative_to(root) for p in left_over if p.is_dir()))


def _drop(pipeline: Path, live: set[str]) -> dict[str, list[Path]]:
    """Rewrite the lock beside a dvc.yaml; the outputs of what was dropped, by stage."""
    from dvc.utils.serialize import load_yaml, modify_yaml

    lock = pipeline.with_suffix(".lock")
    entries = load_yaml(lock)["stages"] if lock.exists() else {}
    gone = sorted(entries.keys() - live)
    if gone:
        with modify_yaml(lock) as content:
            for name in gone:
                del content["stages"][name]
    return {
        name: [pipeline.parent / out["path"] for out in entries[name].get("outs", ())]
        for name in gone
    }


def _beside(out: Path, root: Path) -> Iterator[Path]:
    """Folders as deep below the same folder of the root as an output of a matrix."""
    top, *deeper = out.relative_to(root).parts
    for path in (root / top).glob("/".join("*" for _ in deeper)):
        if not any(part.endswith(".partial") for part in path.parts):
            yield path
