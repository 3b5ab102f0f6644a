"""Commands beside the pipeline: look at an artefact, check a dataset, measure the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import LEAST_WIDTH, print_if_read, print_summary
from cli.options import Data, Workers, available_cores
from cli.progress import show_progress


def info(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Any output of any stage.")],
    data: Data = Path("data/shards"),
) -> None:
    """Say what an artefact is: its kind, numbers, params and hashes, and what it was made from."""
    from cli.info import describe

    print_summary(*describe(path, data), is_product=True)


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
    trials: Annotated[int, typer.Option(min=1, help="Lifts of each object.")] = 40,
    only: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Measure this one, keep the others.")
    ] = None,
    workers: Workers = None,
) -> None:
    """Measure how often the script lifts each object; keep those that are liftable."""
    from parrot_data.worlds.tabletop.library import measure_objects as maintenance

    with show_progress("measure-objects") as progress:
        kept = maintenance.measure_objects(
            out, trials, workers or available_cores(), only or (), progress
        )
    print_if_read(f"{kept} objects in {out}")


def contact_sheet(
    out: Annotated[Path, typer.Option(metavar="FILE", help="Picture to write, such as a PNG.")],
) -> None:
    """Draw every object, container and drawer, close by and as the agent sees it."""
    from parrot_data.worlds.tabletop.library import draw_library as maintenance

    with show_progress("contact-sheet") as progress:
        count = maintenance.draw_library(out, progress)
    print_if_read(f"{count} things in {out}")


def tasks(
    episodes: Annotated[int, typer.Option(min=1, help="Scenes of each task.")] = 100,
    workers: Workers = None,
) -> None:
    """List the tasks to fine-tune on, with the success rate of a script told the target."""
    from rich.console import Console
    from rich.table import Table

    from parrot_data.worlds.tabletop.library import measure_tasks as maintenance
    from parrot_data.worlds.tabletop.tasks import gymnasium_id

    with show_progress("tasks") as progress:
        ceilings = maintenance.measure_tasks(episodes, workers or available_cores(), progress)
    table = Table("task", "family", "objects", "container", "gymnasium id", "script")
    for c in ceilings:
        objects, task_id = ", ".join(c.task.objects), gymnasium_id(c.task.name)
        rate = f"{c.success_rate:.2f}"
        table.add_row(c.task.name, c.task.family, objects, c.task.container, task_id, rate)
    console = Console()
    console.width = max(console.width, LEAST_WIDTH)
    console.print(table)
    if not ceilings:
        raise typer.Exit(1)
