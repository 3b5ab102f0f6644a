"""The stages between our datasets and files of others."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.console import print_summary
from cli.options import Out
from cli.paths import folder_to_read, path_to_read
from cli.progress import show_progress

_NAMES = "robomimic, minari, npz, diffusion-policy, lerobot, lerobot-video, rlds or webdataset"
_Format = Annotated[str, typer.Option("--format", metavar="NAME", help=f"{_NAMES}.")]


def import_(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="The file or folder, or what export wrote.",
            callback=path_to_read,
        ),
    ],
    format_: _Format,
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
            "--bounds",
            metavar="LOW HIGH",
            help="Of each number of an action, for formats that do not say them.",
        ),
    ] = None,
    without_sidecar: Annotated[
        bool,
        typer.Option(
            "--without-sidecar",
            help="Take what export wrote as any file of others, edits included.",
        ),
    ] = False,
) -> None:
    """Make episodes of what others recorded; say what of it cannot be kept."""
    from parrot_data import import_ as stage

    params = stage.ImportParams(format=format_, task=task, success=success, bounds=bounds)
    with show_progress("import") as progress:
        summary = stage.import_episodes(
            params, source, out, use_sidecar=not without_sidecar, progress=progress
        )
    print_summary(f"imported into {out}", summary)


def export(
    dataset: Annotated[
        Path,
        typer.Argument(
            metavar="DATASET",
            help="Output of generate, import or shard.",
            callback=folder_to_read,
        ),
    ],
    format_: _Format,
    out: Out,
    kept: Annotated[
        Path | None,
        typer.Option(
            "--kept", metavar="DIR", help="Output of filter: only these.", callback=folder_to_read
        ),
    ] = None,
    control_rate: Annotated[
        float | None,
        typer.Option(
            "--control-rate", metavar="HZ", help="Actions a second, where DATASET does not say it."
        ),
    ] = None,
) -> None:
    """Write a dataset in a format of others, and beside it what that cannot hold."""
    from parrot_data import export as stage
    from parrot_data.errors import UserError

    if control_rate is not None and not 0 < control_rate < float("inf"):
        raise UserError(f"--control-rate {control_rate:g} is no rate: give a positive number")
    params = stage.ExportParams(format=format_, control_rate_hz=control_rate)
    with show_progress("export") as progress:
        summary = stage.export(params, dataset, out, kept=kept, progress=progress)
    print_summary(f"exported into {out}", summary)
