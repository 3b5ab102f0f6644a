"""Edits of datasets: each writes a new one that names its parents, and touches none of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from cli.console import print_summary
from cli.options import Cpus, Out, Ray, Workers, available_cores, on_ray
from cli.paths import folder_to_read
from cli.progress import show_progress

MOST_EPISODES = 10**9
MOST_SEED = 2**63 - 1

Dataset = Annotated[
    Path,
    typer.Argument(
        metavar="DATASET", help="Episodes or shards: a folder with a manifest.",
        callback=folder_to_read,
    ),
]  # fmt: skip


def _folders_to_read(paths: list[Path]) -> list[Path]:
    for path in paths:
        folder_to_read(path)
    return paths


def select(
    dataset: Dataset,
    out: Out,
    where: Annotated[
        str,
        typer.Option(
            "--where",
            metavar="CONDITION",
            help="Such as 'task == \"pick\" and success and num_steps < 20', or of facts.NAME.",
        ),
    ],
) -> None:
    """Write the episodes that a condition holds for as a new dataset."""
    from parrot_data import select as stage

    with show_progress("select") as progress:
        summary = stage.select(stage.SelectParams(where=where), dataset, out, progress=progress)
    print_summary(f"selected into {out}", summary)


def split(
    dataset: Dataset,
    out: Out,
    shares: Annotated[
        str, typer.Option("--shares", metavar="A,B,...", help="Of the episodes; their sum is 1.")
    ],
    names: Annotated[
        str | None, typer.Option("--names", metavar="A,B,...", help="Of the parts; else 0,1,...")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, max=MOST_SEED, help="Of the draw.")] = 0,
) -> None:
    """Write new datasets, --out/NAME each, that share the episodes out, task by task."""
    from parrot_data import split as stage

    numbers = _numbers(shares, stage.MOST_PARTS)
    called = [str(i) for i in range(len(numbers))] if names is None else names.split(",")
    params = stage.SplitParams(shares=numbers, names=called, seed=seed)
    with show_progress("split") as progress:
        summary = stage.split(params, dataset, out, progress=progress)
    print_summary(f"split into {out}", summary)


def merge(
    datasets: Annotated[
        list[Path],
        typer.Argument(
            metavar="DATASET...", help="Two or more, of one kind.", callback=_folders_to_read
        ),
    ],
    out: Out,
    duplicates: Annotated[
        str,
        typer.Option(
            "--duplicates", metavar="RULE", help="Of episodes that are there twice: refuse or drop."
        ),
    ] = "refuse",
) -> None:
    """Write the episodes of several datasets as a new one."""
    from parrot_data import merge as stage
    from parrot_data.errors import UserError

    known: dict[str, Any] = {name: name for name in get_args(stage.Duplicates)}
    if duplicates not in known:
        raise UserError(f"--duplicates {duplicates!a} is none of {', '.join(known)}: name one")
    params = stage.MergeParams(duplicates=known[duplicates])
    with show_progress("merge") as progress:
        summary = stage.merge(params, datasets, out, progress=progress)
    print_summary(f"merged into {out}", summary)


def append(
    dataset: Dataset,
    out: Out,
    episodes: Annotated[
        int,
        typer.Option("--episodes", min=1, max=MOST_EPISODES, help="How many more to simulate."),
    ],
    workers: Workers = None,
    ray: Ray = None,
    cpus: Cpus = None,
) -> None:
    """Write generated episodes and more of them, simulated as their manifest says."""
    from parrot_data import append as stage

    params = stage.AppendParams(num_episodes=episodes)
    by = on_ray(ray, cpus, None, workers) or workers or available_cores()
    with show_progress("append") as progress:
        summary = stage.append(params, dataset, out, workers=by, progress=progress)
    print_summary(f"appended into {out}", summary)


def _numbers(text: str, most: int) -> list[float]:
    from parrot_data.errors import UserError

    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        numbers = []
    if not 2 <= len(numbers) <= most or not all(0 < number < 1 for number in numbers):
        raise UserError(
            f"--shares {text[:60]!a} are no shares: give 2 to {most} numbers between 0 and 1, such "
            "as 0.9,0.1"
        )
    return numbers
