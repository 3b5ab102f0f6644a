"""The runs a report is about: exactly those of the matrix, or an error that names the odd one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json
from parrot_models.report_page.learning import Run, RunKey, read_curve

MATRIX = "finetune.tasks, finetune.methods and finetune.seeds"


def read_runs(folder: Path, wanted: Sequence[RunKey]) -> list[Run]:
    """Read the wanted runs below `folder`, in the order wanted.

    Raises:
        UserError: a wanted run is missing or unreadable, or a run is there that nobody wants: DVC
            leaves the folder of an item removed from a matrix, and it must not reach a report.
    """
    found = set(_find(folder))
    for key in wanted:
        if key not in found:
            flags = f"--task {key.task} --method {key.method} --seed {key.seed}"
            raise UserError(
                f"{folder.joinpath(*key)} is missing: run `dvc repro` or `parrot finetune {flags}`,"
                f" or take it out of {MATRIX}"
            )
    for key in sorted(found - set(wanted)):
        raise UserError(
            f"{folder.joinpath(*key)} is left over, no longer named by {MATRIX}: "
            "remove the folder, or name it there again"
        )
    return [_read(folder.joinpath(*key), key) for key in wanted]


def _find(folder: Path) -> Iterator[RunKey]:
    for path in folder.glob("*/*/*"):
        parts = path.relative_to(folder).parts
        if path.is_dir() and not any(part.endswith(".partial") for part in parts):
            yield RunKey(*parts)


def _read(folder: Path, key: RunKey) -> Run:
    path = folder / "metrics.json"
    metrics: dict[str, Any] = read_json(path)
    try:
        rate, num_episodes = float(metrics["success_rate"]), int(metrics["num_episodes"])
    except (KeyError, TypeError, ValueError):
        raise UserError(f"{path} lacks success_rate or num_episodes: run the stage again") from None
    video = folder / "video.gif"
    return Run(
        key=key,
        folder=folder,
        curve=read_curve(folder / "curve.csv"),
        success_rate=rate,
        num_episodes=num_episodes,
        video=video if video.exists() else None,
    )
