"""The runs a report is about: exactly those of the matrix, or an error that names the odd one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json
from parrot_data.stores.seal import check_seal
from parrot_models.report_page.learning import Run, RunKey, read_curve

MATRIX = "finetune.tasks, finetune.methods and finetune.seeds"


def read_runs(folder: Path, wanted: Sequence[RunKey], matrix: str = MATRIX) -> list[Run]:
    """Read the wanted runs below `folder`, in the order wanted; `matrix` names who wants them.

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
                f" or take it out of {matrix}"
            )
    for key in sorted(found - set(wanted)):
        raise UserError(
            f"{folder.joinpath(*key)} is left over, no longer named by {matrix}: "
            "remove the folder, or name it there again"
        )
    return [_read(folder.joinpath(*key), key) for key in wanted]


def _find(folder: Path) -> Iterator[RunKey]:
    for path in folder.glob("*/*/*"):
        parts = path.relative_to(folder).parts
        if path.is_dir() and not any(part.endswith(".partial") for part in parts):
            yield RunKey(*parts)


class _Metrics(BaseModel):
    """The part of a run's metrics.json that a report shows."""

    success_rate: float
    untrained_success_rate: float
    untrained_mode_success_rate: float | None = None
    steps_to_50: int | None
    steps_to_80: int | None
    env_steps: int
    outcomes: dict[str, float] = Field(default_factory=dict)


def _read(folder: Path, key: RunKey) -> Run:
    path = folder / "metrics.json"
    check_seal(folder, "parrot finetune")
    try:
        metrics = _Metrics.model_validate(read_json(path))
    except ValidationError as error:
        names = ", ".join(str(detail["loc"][-1]) for detail in error.errors())
        raise UserError(f"{path} lacks a valid {names}: run `parrot finetune` again") from error
    video = folder / "video.gif"
    return Run(
        key=key,
        folder=folder,
        curve=read_curve(folder / "curve.csv"),
        video=video if video.exists() else None,
        **metrics.model_dump(),
    )
