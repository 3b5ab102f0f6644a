"""The command that makes projects outside this repository, for an installed Parrot."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import print_if_read
from cli.paths import folder_to_read, folder_to_write


def init(
    folder: Annotated[
        Path, typer.Argument(metavar="DIR", help="Folder of the project.", callback=folder_to_write)
    ],
    environment: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="tabletop (the default), gymnasium, metaworld or package.module:factory.",
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            "--from",
            metavar="DATASET",
            help="Begin with this dataset; without --environment no world is simulated.",
            callback=folder_to_read,
        ),
    ] = None,
    upgrade: Annotated[
        bool,
        typer.Option("--upgrade", help="Lock the installed Parrot in the project that is there."),
    ] = False,
) -> None:
    """Make a project: params, pipeline, and a lock of the installed Parrot, under git and DVC."""
    from cli import project_folder
    from parrot_data.errors import UserError

    if upgrade:
        if environment is not None or data is not None:
            raise UserError("--upgrade takes neither --environment nor --from: leave them out")
        for note in project_folder.upgrade_project(folder):
            print_if_read(f"note: {note}", is_error=True)
        print_if_read(
            f"locked the installed Parrot in {folder / 'parrot.lock'}; `dvc repro` runs what has "
            "other code by it"
        )
        return
    open_ends = project_folder.make_project(folder, environment, data)
    print_if_read(f"made {folder}")
    for line in open_ends:
        print_if_read(f"  to fill in: {folder / 'params.yaml'}: {line}")
    print_if_read(f"then: cd {folder} && dvc repro")
