"""Command `audit`: a prior against demonstrations of a task, before any RL."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.console import print_if_read
from cli.options import PARAMS, Overrides, Params
from cli.paths import folder_to_read, folder_to_write
from cli.progress import show_progress


def audit(
    prior: Annotated[
        Path,
        typer.Argument(metavar="PRIOR", help="Output of train-prior.", callback=folder_to_read),
    ],
    data: options.Data,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder to write; without, the text is printed and no more.",
            callback=lambda path: path and folder_to_write(path),
        ),
    ] = None,
    judge: Annotated[
        bool,
        typer.Option("--judge", help="Also roll the prior out, in the world that params name."),
    ] = False,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Say how well a prior fits demonstrations of a task, before any RL."""
    from cli.params import Sections
    from parrot_models import audit as stage
    from parrot_models.networks.device import named_device

    options.set_threads(threads)
    where = named_device(device)
    read = Sections(params, overrides)
    values = read("audit", stage.AuditParams)
    environment = read.environment() if judge else None
    with show_progress("audit") as progress:
        found = stage.audit(
            values, prior, data, out, environment=environment, device=where, progress=progress
        )
    if out is None:
        typer.echo(found.text)
    else:
        print_if_read(f"{found.text}\n\nFigure: {out / stage.FIGURE}")
