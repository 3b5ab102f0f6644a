"""The command that attacks the pipeline and counts what it survives."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.checkout import need_checkout
from cli.options import PARAMS, Overrides, Params
from cli.progress import show_progress


def torture(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder to write reliability.md in.")],
    minutes: Annotated[float, typer.Option(min=0, help="Begin no trial after this time.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of the moments and places of attack.")] = 0,
    kinds: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Such as kills,races; all by default.")
    ] = None,
    brief: Annotated[
        bool, typer.Option("--brief", help="Each attack once, on the stages that make data.")
    ] = False,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Kill, interrupt, race, starve and mislead every stage; count what is survived.

    Exits with 1 where an attack was not survived.
    """
    need_checkout("torture")
    from benchmarks.torture.torture import PAGE, torture
    from benchmarks.torture.trial import BRIEF, FULL
    from cli.params import load_params

    with show_progress("torture") as progress:
        outcomes = torture(
            load_params(params, overrides or ()),
            out,
            BRIEF if brief else FULL,
            kinds.split(",") if kinds else None,
            minutes=minutes,
            seed=seed,
            command="make torture" if out == Path("docs") else f"parrot torture --out {out}",
            progress=progress,
        )
    survived = sum(outcome.survived for outcome in outcomes)
    typer.echo(f"{survived} of {len(outcomes)} attacks survived; {out / PAGE} says which")
    if survived < len(outcomes):
        raise typer.Exit(1)
