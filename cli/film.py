"""Command `film`: what a run began from and what it came to, side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.console import print_summary
from cli.options import PARAMS, Overrides, Params
from cli.paths import folder_to_read, gif_to_write
from cli.progress import show_progress


def film(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Output of finetune.", callback=folder_to_read)
    ],
    out: Annotated[Path, typer.Option(metavar="FILE", help="GIF to write.", callback=gif_to_write)],
    prior: options.MovedPrior = None,
    threads: options.Threads = 1,
    device: options.Device = "cpu",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Film random actions, the untrained prior and the agent side by side, in the same scenes."""
    from cli.params import Sections
    from parrot_models import film as stage
    from parrot_models.networks.device import named_device

    options.set_threads(threads)
    where = named_device(device)
    values = Sections(params, overrides)("film", stage.FilmParams)
    with show_progress("film") as progress:
        summary = stage.film(values, run, out, prior=prior, device=where, progress=progress)
    print_summary(f"filmed {run} into {out}", summary)
