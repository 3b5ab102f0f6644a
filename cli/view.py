"""Command `view`: a page to look through a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

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
) -> None:
    """Write a page to look through all episodes; open its index.html, no server is needed."""
    from parrot_data import view as stage

    with show_progress("view") as progress:
        summary = stage.view(dataset, out, progress=progress)
    print_summary(f"open {out / 'index.html'}", summary)
