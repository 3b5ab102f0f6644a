"""Commands beside the pipeline: look at an artefact, check a dataset, measure the objects."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import print_summary
from cli.options import Data
from cli.progress import show_progress


def info(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Any output of any stage.")],
    data: Data = Path("data/shards"),
) -> None:
    """Say what an artefact is: its kind, numbers, params and hashes, and what it was made from."""
    from cli.info import describe

    print_summary(*describe(path, data))


def verify(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Output of generate or shard.")],
) -> None:
    """Check every file and every episode of a dataset against its manifest."""
    from parrot_data.stores import verify as stores

    with show_progress("verify") as progress:
        stores.verify(folder, progress=progress)
    typer.echo(f"{folder} is whole: every file and every episode is what the manifest says")


def measure_objects(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Table to write, as JSON.")],
    trials: Annotated[int, typer.Option(min=1, help="Lifts of each object.")] = 50,
    count: Annotated[int, typer.Option(min=1, help="Objects to keep.")] = 48,
) -> None:
    """Measure how often the script lifts each object; keep those that are liftable."""
    from parrot_data import measure_objects as maintenance

    with show_progress("measure-objects") as progress:
        kept = maintenance.measure_objects(out, trials, count, progress)
    typer.echo(f"{kept} objects in {out}")
