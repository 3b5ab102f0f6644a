"""Commands about studies: what their methods start from, exploration, pages."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.console import print_if_read
from cli.options import PARAMS, Out, Overrides, Params
from cli.paths import file_to_write, folder_to_read
from cli.progress import show_progress


def parts(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FILE", help="JSON file to write.", callback=file_to_write),
    ],
    models: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder the parts lie in.", callback=folder_to_read)
    ] = Path("models"),
) -> None:
    """Write a hash of what each method was pre-trained as: a run depends on its method's alone."""
    from parrot_models import parts as stage

    hashes = stage.parts(models, out)
    trained = [name for name, value in hashes.items() if value is not None]
    print_if_read(f"methods that can begin: {', '.join(trained) or 'none'}")


def explore(
    prior: options.Prior,
    out: Out,
    clone: Annotated[
        Path | None,
        typer.Option(
            "--bc",
            metavar="DIR",
            help="Output of pretrain --method bc, to compare.",
            callback=folder_to_read,
        ),
    ] = None,
    threads: options.Threads = 1,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Measure how the prior explores, and how safely, beside chance and behavior cloning."""
    from cli.params import Sections
    from parrot_models import explore as stage

    options.set_threads(threads)
    read = Sections(params, overrides)
    values = read("explore", stage.ExploreParams)
    environment = read.environment()
    with show_progress("explore") as progress:
        stage.explore(values, environment, prior, clone, out, progress=progress)
    print_if_read(f"explored; the numbers are in {out / 'exploration.csv'}")


def report_study(
    kind: Annotated[
        str, typer.Argument(metavar="KIND", help="dataset-size, mismatch or exploration.")
    ],
    out: Out,
    study: Annotated[
        Path,
        typer.Option(
            metavar="DIR",
            help="Folder of the study, with models and runs.",
            callback=folder_to_read,
        ),
    ] = Path(),
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Make the self-contained page of a study; print its table."""
    from cli.params import Sections
    from parrot_models import report_study as stage

    read = Sections(params, overrides)
    values = None if kind == "exploration" else read("study", stage.StudyParams)
    table = stage.report_study(kind, values, study, out)
    print_if_read(f"{table}\n\nPage: {out / 'index.html'}")
