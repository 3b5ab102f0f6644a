"""The options that commands share, each declared once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

PARAMS = Path("params.yaml")

Params = Annotated[Path, typer.Option("--params", metavar="FILE", help="Values of every stage.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Replace one value; repeatable."),
]
Out = Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder to write.")]
Episodes = Annotated[Path, typer.Option("--episodes", metavar="DIR", help="Output of generate.")]
Kept = Annotated[Path, typer.Option("--kept", metavar="DIR", help="Output of filter.")]
Data = Annotated[Path, typer.Option("--data", metavar="DIR", help="Output of shard.")]
Prior = Annotated[Path, typer.Option("--prior", metavar="DIR", help="Output of train-prior.")]
MovedPrior = Annotated[
    Path | None, typer.Option("--prior", metavar="DIR", help="Its prior, where that has moved.")
]
Workers = Annotated[
    int | None, typer.Option("--workers", min=1, help="Processes; every core by default.")
]
Threads = Annotated[
    int | None,
    typer.Option("--threads", min=1, help="Threads of torch; OMP_NUM_THREADS or every core."),
]


def available_cores() -> int:
    """Cores this process may use: taskset counts, unlike in `os.cpu_count`."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def set_threads(num_threads: int | None) -> None:
    """Fix the threads of torch, once and before any other work: changing them later is slow.

    Without a number OMP_NUM_THREADS counts, as for torch itself: where cores are shared, two
    threads that wait for each other are far slower than one.
    """
    import torch

    told = os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads(
        num_threads or (int(told) if told.isdecimal() else 0) or available_cores()
    )
