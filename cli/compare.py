"""Commands that compare: a dataset with another, and with what its simulator makes today."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.options import available_cores
from cli.paths import file_to_write, folder_to_read
from cli.progress import show_progress

if TYPE_CHECKING:
    from rich.console import RenderableType

_HELP = "Output of generate, import or shard; PATH@REV for one of a git revision."


def diff(
    a: Annotated[Path, typer.Argument(metavar="A", help=_HELP, callback=folder_to_read)],
    b: Annotated[Path, typer.Argument(metavar="B", help=_HELP, callback=folder_to_read)],
    by_task: Annotated[
        bool,
        typer.Option("--by-task", help="Arrays' drift by task; every episode is read for it."),
    ] = False,
    json_file: Annotated[
        Path | None, typer.Option("--json", metavar="FILE", help="Write all of it, too.")
    ] = None,
) -> None:
    """Say what changed from dataset A to B: episodes, statistics, params, specs.

    Exits with 0 whether they differ or not.
    """
    from cli.compare_tables import difference_told
    from parrot_data import diff as stage
    from parrot_data.stores.outputs import file
    from parrot_data.stores.publish import write_json

    target = None
    if json_file is not None:
        is_own = file.is_json_with(stage.KEYS)
        target = file.file_to_write(file_to_write(json_file), "diff", is_own)
    with show_progress("diff") as progress:
        found = stage.diff(a, b, by_task=by_task, progress=progress)
    if target is not None:
        write_json(target, found.as_json())
    _print(difference_told(found))


def regenerate(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET", help="Output of generate or shard.", callback=folder_to_read
        ),
    ],
    episodes: Annotated[
        int, typer.Option("--episodes", metavar="N", min=1, max=10**9, help="How many.")
    ],
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=2**63 - 1, help="Of the choice of episodes.")
    ] = 0,
    workers: options.Workers = None,
) -> None:
    """Simulate N episodes of a dataset anew, and see that they come out as it holds them.

    Exits with 1 where one does not.
    """
    from cli.compare_tables import divergences_told
    from parrot_data import regenerate as stage

    with show_progress("regenerate") as progress:
        found = stage.regenerate(
            dataset, episodes, seed, workers=workers or available_cores(), progress=progress
        )
    _print(divergences_told(str(dataset), found))
    if found.divergences:
        raise typer.Exit(1)


def _print(parts: Sequence[RenderableType]) -> None:
    from rich.console import Console

    from cli.console import LEAST_WIDTH

    # No colours of numbers, no links: the same text on a terminal and in a log
    console = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    console.width = max(console.width, LEAST_WIDTH)
    for part in parts:
        console.print(part)
