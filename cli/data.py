"""The stages that make datasets."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from cli import options
from cli.console import print_summary
from cli.options import PARAMS, Out, Overrides, Params, available_cores
from cli.paths import path_to_read
from cli.progress import show_progress


def generate(
    out: Out, workers: options.Workers = None, params: Params = PARAMS, overrides: Overrides = None
) -> None:
    """Simulate scripted episodes and record them, failures included."""
    from cli.params import Sections
    from parrot_data import generate as stage

    read = Sections(params, overrides)
    with show_progress("generate") as progress:
        summary = stage.generate(
            read("generate", stage.GenerateParams),
            read.environment(),
            out,
            workers=workers or available_cores(),
            progress=progress,
        )
    print_summary(f"generated {out}", summary)


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE", help="The file, or Minari's folder.", callback=path_to_read
        ),
    ],
    format_: Annotated[
        str, typer.Option("--format", metavar="NAME", help="robomimic, minari or npz.")
    ],
    out: Out,
    task: Annotated[
        str | None, typer.Option("--task", metavar="NAME", help="What was done; else as it says.")
    ] = None,
    success: Annotated[
        str,
        typer.Option(
            "--success",
            metavar="RULE",
            help="Which are successes: last-reward>=R, key=NAME, length<N or all.",
        ),
    ] = "all",
    bounds: Annotated[
        tuple[float, float] | None,
        typer.Option(
            "--bounds", metavar="LOW HIGH", help="Of each number of an action, for npz, if any."
        ),
    ] = None,
) -> None:
    """Make episodes of what others recorded; say what of it cannot be kept."""
    from parrot_data import import_ as stage
    from parrot_data.errors import UserError

    known: dict[str, Any] = {name: name for name in stage.FORMATS}
    if format_ not in known:
        raise UserError(f"--format {format_!a} is none of {', '.join(known)}: name one of them")
    params = stage.ImportParams(format=known[format_], task=task, success=success, bounds=bounds)
    with show_progress("import") as progress:
        summary = stage.import_episodes(params, source, out, progress=progress)
    print_summary(f"imported into {out}", summary)


def filter_(
    episodes: options.Episodes, out: Out, params: Params = PARAMS, overrides: Overrides = None
) -> None:
    """Keep the episodes to learn from; say why the others are not kept."""
    from cli.params import Sections
    from parrot_data import filter as stage

    values = Sections(params, overrides)("filter", stage.FilterParams)
    with show_progress("filter") as progress:
        summary = stage.filter_episodes(values, episodes, out, progress=progress)
    print_summary(f"filtered into {out}", summary)


def shard(
    episodes: options.Episodes,
    kept: options.Kept,
    out: Out,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Write the kept episodes as a Zarr store and as WebDataset tars."""
    from cli.params import Sections
    from parrot_data import shard as stage

    values = Sections(params, overrides)("shard", stage.ShardParams)
    with show_progress("shard") as progress:
        summary = stage.shard(values, episodes, kept, out, progress=progress)
    print_summary(f"sharded into {out}", summary)
