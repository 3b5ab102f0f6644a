"""Command `view`: a page to look through a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli.console import print_summary
from cli.options import Out
from cli.paths import folder_to_read
from cli.progress import show_progress


def view(
    dataset: Annotated[
        Path,
        typer.Argument(metavar="DATASET", help="Episodes or shards.", callback=folder_to_read),
    ],
    out: Out,
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="page, or rerun: a recording for that viewer."
        ),
    ] = "page",
) -> None:
    """Write a page to look through all episodes; open its index.html, no server is needed."""
    from parrot_data import view as stage
    from parrot_data.errors import UserError

    known: dict[str, Any] = {name: name for name in stage.FORMATS}
    if format_ not in known:
        raise UserError(f"--format {format_!a} is none of {', '.join(known)}: name one of them")
    with show_progress("view") as progress:
        summary = stage.view(dataset, out, format_=known[format_], progress=progress)
    shown = "index.html" if format_ == "page" else stage.RECORDING
    print_summary(f"open {out / shown}", summary)
