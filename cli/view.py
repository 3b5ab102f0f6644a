"""Command `view`: a page to look through a dataset, or at what a run or a prior does."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli import options
from cli.console import print_summary
from cli.options import PARAMS, Out, Overrides, Params
from cli.paths import folder_to_read
from cli.progress import show_progress

NUM_ROLLOUTS = 12


def view(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Episodes, shards, a run of finetune, or a prior.",
            callback=folder_to_read,
        ),
    ],
    out: Out,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Beside a run or a prior: episodes or shards; a prior's own shards by default.",
            callback=folder_to_read,
        ),
    ] = None,
    format_: Annotated[
        str,
        typer.Option(
            "--format", metavar="NAME", help="page, or rerun: a recording for that viewer."
        ),
    ] = "page",
    rollouts: Annotated[
        int | None,
        typer.Option(
            min=2,  # one each would leave nothing to filter by
            max=10_000,
            help=f"Of a prior: so many sampled, so many at z = 0; {NUM_ROLLOUTS} by default.",
        ),
    ] = None,
    threads: options.Threads = 1,
    device: options.Device = "cpu",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Write a page to look through all episodes, or at a run or a prior; open its index.html."""
    from parrot_data.errors import UserError

    formats = ("page", "rerun")
    if format_ not in formats:
        raise UserError(f"--format {format_!a} is none of {', '.join(formats)}: name one of them")
    is_prior, is_run = (path / "prior.safetensors").is_file(), (path / "curve.csv").is_file()
    if format_ != "page" and (is_prior or is_run):
        kind = "run" if is_run else "prior"
        raise UserError(f"{path} is a {kind}, which is shown by a page alone: leave --format out")
    if rollouts is not None and not is_prior:
        raise UserError(f"--rollouts is for a prior, and {path} is none: leave it out")
    if is_run:
        _view_run(path, out, data)
    elif is_prior:
        options.set_threads(threads)
        _view_prior(path, out, data, rollouts or NUM_ROLLOUTS, device, params, overrides)
    elif data is not None:
        raise UserError(f"--data is for a run or a prior, and {path} is none: leave it out")
    else:
        _view_dataset(path, out, format_)


def _view_dataset(dataset: Path, out: Path, format_: str) -> None:
    from parrot_data import view as stage

    with show_progress("view") as progress:
        summary = stage.view(
            dataset, out, format_="page" if format_ == "page" else "rerun", progress=progress
        )
    shown = "index.html" if format_ == "page" else stage.RECORDING
    print_summary(f"open {out / shown}", summary)


def _view_run(run: Path, out: Path, data: Path | None) -> None:
    from parrot_data.worlds.tabletop.tasks import TASKS
    from parrot_models import view_run as stage

    # The tabletop's data are named after families: no data show the very objects of its tasks
    families = {name: task.family for name, task in TASKS.items()}
    summary = stage.view_run(run, out, dataset=data, families=families)
    print_summary(f"open {out / 'index.html'}", summary)


def _view_prior(
    prior: Path,
    out: Path,
    data: Path | None,
    num_rollouts: int,
    device: str,
    params: Path,
    overrides: list[str] | None,
) -> None:
    from cli.params import Sections
    from parrot_models import view_prior as stage
    from parrot_models.networks.device import named_device

    where = named_device(device)
    read = Sections(params, overrides)
    values = read("judge", stage.JudgeParams)
    with show_progress("view") as progress:
        summary = stage.view_prior(
            *(values, read.environment(), prior, data or stage.shards_of(prior), out),
            num_episodes=num_rollouts,
            device=where,
            progress=progress,
        )
    print_summary(f"open {out / 'index.html'}", summary)
