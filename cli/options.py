"""The options that commands share, each declared once."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.paths import folder_to_read, folder_to_write, shards_to_read

if TYPE_CHECKING:
    from parrot_data.cluster.connection import OnRay

PARAMS = Path("params.yaml")
MOST_PROCESSES = 1024  # or threads: more than any one machine has cores

Params = Annotated[Path, typer.Option("--params", metavar="FILE", help="Values of every stage.")]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Replace one value; repeatable."),
]
Out = Annotated[
    Path, typer.Option("--out", metavar="DIR", help="Folder to write.", callback=folder_to_write)
]
Episodes = Annotated[
    Path,
    typer.Option("--episodes", metavar="DIR", help="Output of generate.", callback=folder_to_read),
]
Kept = Annotated[
    Path, typer.Option("--kept", metavar="DIR", help="Output of filter.", callback=folder_to_read)
]
Data = Annotated[
    Path, typer.Option("--data", metavar="DIR", help="Output of shard.", callback=folder_to_read)
]
Shards = Annotated[
    str,
    typer.Option(
        "--data",
        metavar="DIR|URL",
        help="Output of shard; what is streamed may lie elsewhere, such as at s3://bucket/prefix.",
        callback=shards_to_read,
    ),
]
Prior = Annotated[
    Path,
    typer.Option("--prior", metavar="DIR", help="Output of train-prior.", callback=folder_to_read),
]
Model = Annotated[
    Path,
    typer.Option(
        "--model",
        metavar="DIR",
        help="Output of train-prior or pretrain.",
        callback=folder_to_read,
    ),
]
Part = Annotated[
    Path | None,
    typer.Option(
        "--prior",
        metavar="DIR",
        help="What the method was pre-trained as; else models/<its part>.",
        callback=folder_to_read,
    ),
]
MovedPrior = Annotated[
    Path | None,
    typer.Option(
        "--prior", metavar="DIR", help="Its prior, where that has moved.", callback=folder_to_read
    ),
]
Workers = Annotated[
    int | None,
    typer.Option("--workers", min=1, max=MOST_PROCESSES, help="Processes; every core by default."),
]
Ray = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on a Ray cluster: HOST:PORT, auto, or local for one of this machine.",
    ),
]
Cpus = Annotated[
    float | None,
    typer.Option("--cpus", min=0, max=MOST_PROCESSES, help="CPUs of each, with --ray; else 1."),
]
Gpus = Annotated[
    float | None,
    typer.Option("--gpus", min=0, max=MOST_PROCESSES, help="GPUs of each, with --ray; else 0."),
]
Logs = Annotated[
    str,
    typer.Option(
        "--logs", metavar="DIR", help="Folder of TensorBoard's event files, '' for none; no output."
    ),
]
SkipDone = Annotated[
    bool,
    typer.Option("--skip-done", help="Leave a finished run of the same prior, params and seed."),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        min=1,
        max=MOST_PROCESSES,
        help="Threads of torch; OMP_NUM_THREADS or every core.",
    ),
]
Device = Annotated[
    str, typer.Option("--device", help="cpu, cuda, cuda:N, or auto; it changes the last bits.")
]


def on_ray(
    address: str | None, cpus: float | None, gpus: float | None, here: object
) -> OnRay | None:
    """The cluster that options name, None where they name none.

    Args:
        address: --ray.
        cpus: --cpus.
        gpus: --gpus.
        here: the option that says how many processes of this machine, None if it was not given.

    Raises:
        UserError: an option is given that has no meaning beside the others.
    """
    from parrot_data.cluster.connection import OnRay
    from parrot_data.errors import UserError

    if address is None:
        if cpus is not None or gpus is not None:
            raise UserError(
                "--cpus and --gpus are for a cluster: name one with --ray, or leave them away"
            )
        return None
    if here is not None:
        raise UserError(
            "--ray works on a cluster, and --workers or --jobs on this machine: leave one away"
        )
    given = OnRay(address, 1.0 if cpus is None else cpus, gpus or 0.0)
    if not math.isfinite(given.cpus + given.gpus):
        raise UserError("--cpus and --gpus are numbers of 0 or more: correct them")
    return given


def available_cores() -> int:
    """Cores this process may use: see `parrot_data.machine`."""
    from parrot_data import machine

    return machine.available_cores()


def set_threads(num_threads: int | None) -> None:
    """Fix the threads of torch, once and before any other work: changing them later is slow.

    Without a number OMP_NUM_THREADS counts, as for torch itself: where cores are shared, two
    threads that wait for each other are far slower than one.
    """
    import torch

    _keep_freed_memory()
    torch.set_num_threads(num_threads or _told_threads() or available_cores())


def _told_threads() -> int:
    """OMP_NUM_THREADS, 0 where it says nothing.

    Raises:
        UserError: it is beyond any machine.
    """
    from parrot_data.errors import UserError

    told = os.environ.get("OMP_NUM_THREADS", "")
    if not told.isdecimal():
        return 0
    if len(told) > 9 or int(told) > MOST_PROCESSES:
        raise UserError(f"OMP_NUM_THREADS is {told}: set it to {MOST_PROCESSES} at most")
    return int(told)


def _keep_freed_memory() -> None:
    """Let glibc keep freed blocks up to 32 MiB instead of giving them back to the kernel.

    A training step frees and asks for the same large blocks again and again; getting them back
    zeroed, page by page, costs a quarter of the step. Elsewhere than on glibc nothing happens.
    """
    import ctypes

    m_trim_threshold, m_mmap_threshold = -1, -3  # of malloc.h
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return
    mallopt(m_mmap_threshold, 32 << 20)
    mallopt(m_trim_threshold, (1 << 31) - 1)
