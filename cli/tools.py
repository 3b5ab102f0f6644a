"""Commands beside the pipeline: look at an artefact, check a dataset, measure the library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.console import LEAST_WIDTH, print_if_read, print_summary
from cli.options import PARAMS, Data, Overrides, Params, Workers, available_cores
from cli.paths import file_to_write, folder_to_read, image_to_write, path_to_read
from cli.progress import show_progress

if TYPE_CHECKING:
    from rich.table import Table

    from parrot_data.worlds.params import EnvironmentParams


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
            metavar="FILE", help="Image to write, such as a PNG.", callback=image_to_write
        ),
    ],
) -> None:
    """Draw every object, container and drawer, close by and as the agent sees it."""
    from parrot_data.worlds.tabletop.library import draw_library as maintenance

    with show_progress("contact-sheet") as progress:
        count = maintenance.draw_library(out, progress)
    print_if_read(f"{count} things in {out}")


def tasks(
    measure: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=10**6,
            metavar="N",
            help="Also measure the tabletop's script, told the target, in N scenes of each task.",
        ),
    ] = None,
    workers: Workers = None,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """List the tasks to fine-tune on, of the world that params name."""
    from rich.console import Console

    from cli.params import Sections
    from parrot_data.worlds.make import make_world

    environment = Sections(params, overrides).environment()
    world = make_world(environment)
    rates = _measured(environment, measure, workers) if measure else {}
    table = _table_of_tasks(environment.name, world.tasks, rates)
    console = Console()
    console.width = max(console.width, LEAST_WIDTH)
    console.print(table)
    if not world.tasks:
        raise typer.Exit(1)


def _measured(
    environment: EnvironmentParams, num_episodes: int, workers: int | None
) -> dict[str, float]:
    """Success rates of the script, by task.

    Raises:
        UserError: the world is not the tabletop, whose scripts can be told the target.
    """
    from parrot_data.errors import UserError
    from parrot_data.worlds.tabletop.library import measure_tasks as maintenance

    if environment.name != "tabletop":
        raise UserError(
            f"--measure {num_episodes} is of the tabletop's scripts, and environment.name is "
            f"{environment.name}: leave it out"
        )
    with show_progress("tasks") as progress:
        ceilings = maintenance.measure_tasks(num_episodes, workers or available_cores(), progress)
    return {ceiling.task.name: ceiling.success_rate for ceiling in ceilings}


def _table_of_tasks(world: str, names: Sequence[str], rates: Mapping[str, float]) -> Table:
    """A row a task; of the tabletop's more is known than names."""
    from rich.table import Table

    from parrot_data.worlds.tabletop.tasks import TASKS, gymnasium_id

    if world != "tabletop":
        table = Table("task")
        for name in names:
            table.add_row(name)
        return table
    table = Table("task", "family", "objects", "container", "gymnasium id")
    table.caption = 'gymnasium.make("parrot_data.worlds.tabletop:ID") makes one'
    if rates:
        table.add_column("script")
    for name in names:
        task = TASKS[name]
        row = [name, task.family, ", ".join(task.objects), task.container, gymnasium_id(name)]
        table.add_row(*row, *([f"{rates[name]:.2f}"] if rates else []))
    return table
