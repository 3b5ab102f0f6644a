"""Command `view`: a page to look through a dataset, or at a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import print_summary
from cli.options import Out
from cli.paths import folder_to_read
from cli.progress import show_progress


def view(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH", help="Episodes, shards, or a run of finetune.", callback=folder_to_read
        ),
    ],
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Beside a run: episodes or shards with demonstrations of its task.",
            callback=folder_to_read,
        ),
    ] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="page, or rerun: a recording for that viewer."
        ),
    ] = "page",
) -> None:
    """Write a page to look through all episodes, or at a run; open its index.html."""
    from parrot_data.errors import UserError

    formats = ("page", "rerun")
    if format_ not in formats:
        raise UserError(f"--format {format_!a} is none of {', '.join(formats)}: name one of them")
    if (path / "curve.csv").is_file():
        _view_run(path, out, data, format_)
        return
    if (path / "prior.safetensors").is_file():
        raise UserError(
            f"{path} is a prior, which has no episodes to show: name a dataset or a run (what a "
            "prior does, `parrot judge` and `parrot film RUN` tell)"
        )
    if data is not None:
        raise UserError(f"--data is for a run, and {path} is none: leave it out")
    from parrot_data import view as stage

    with show_progress("view") as progress:
        summary = stage.view(
            path, out, format_="page" if format_ == "page" else "rerun", progress=progress
        )
    shown = "index.html" if format_ == "page" else stage.RECORDING
    print_summary(f"open {out / shown}", summary)


def _view_run(run: Path, out: Path, data: Path | None, format_: str) -> None:
    from parrot_data.errors import UserError
    from parrot_models import view_run as stage

    if format_ != "page":
        raise UserError(
            f"{run} is a run, which has no episodes for --format {format_}: leave it out"
        )
    print_summary(f"open {out / 'index.html'}", stage.view_run(run, out, dataset=data))
