"""Commands beside the pipeline: look at an artefact, check a dataset, measure the library."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import LEAST_WIDTH, print_if_read, print_summary
from cli.options import Data, Workers, available_cores
from cli.paths import file_to_write, folder_to_read, path_to_read, picture_to_write
from cli.progress import show_progress


def info(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Any output of any stage.", callback=path_to_read)
    ],
    data: Data = Path("data/shards"),
) -> None:
    """Say what an artefact is: its kind, numbers, params and hashes, and what it was made from."""
    from cli.info import describe

    print_summary(*describe(path, data), is_product=True)


def verify(
    folder: Annotated[
        Path,
        typer.Argument(metavar="DIR", help="Output of generate or shard.", callback=folder_to_read),
    ],
) -> None:
    """Check every file and every episode of a dataset against its manifest."""
    from parrot_data.stores import verify as stores

    with show_progress("verify") as progress:
        stores.verify(folder, progress=progress)
    typer.echo(f"{folder} is whole: every file and every episode is what the manifest says")


def prune() -> None:
    """Drop entries of dvc.lock whose stages are no more; name folders that no stage makes."""
    from cli import prune as maintenance

    pruned = maintenance.prune(Path())
    for stage in pruned.stages:
        typer.echo(f"dropped from dvc.lock: {stage}")
    for path in pruned.left_over:
        typer.echo(f"no stage makes {path}: remove it if nobody needs it")
    if not pruned.stages and not pruned.left_over:
        typer.echo("every entry of dvc.lock is that of a stage, and no run is left over")


def measure_objects(
    out: Annotated[
        Path, typer.Option(metavar="FILE", help="Table to write, as JSON.", callback=file_to_write)
    ],
    trials: Annotated[int, typer.Option(min=1, max=10**6, help="Lifts of each object.")] = 40,
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
    out: Annotated[
        Path,
        typer.Option(
            metavar="FILE", help="Picture to write, such as a PNG.", callback=picture_to_write
        ),
    ],
) -> None:
    """Draw every object, container and drawer, close by and as the agent sees it."""
    from parrot_data.worlds.tabletop.library import draw_library as maintenance

    with show_progress("contact-sheet") as progress:
        count = maintenance.draw_library(out, progress)
    print_if_read(f"{count} things in {out}")


def tasks(
    episodes: Annotated[int, typer.Option(min=1, max=10**6, help="Scenes of each task.")] = 100,
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
