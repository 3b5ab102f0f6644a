"""Many runs of finetune: the matrix that params name, on this machine or on a Ray cluster."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.options import PARAMS, Overrides, Params, available_cores, on_ray
from cli.paths import folder_to_read
from cli.sweep_jobs import cells
from cli.sweep_watch import watch

if TYPE_CHECKING:
    from cli.params import Sections
    from cli.sweep_jobs import Sweep
    from parrot_data.cluster.connection import OnRay

Runs = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder the runs lie in.", callback=folder_to_read)
]


def matrix(runs: Runs = Path("runs"), params: Params = PARAMS, overrides: Overrides = None) -> None:
    """Print the options of each run of finetune's matrix, a line a run, for another scheduler."""
    from cli.params import Sections
    from parrot_models.methods.params import FinetuneParams

    values = Sections(params, overrides)("finetune", FinetuneParams)
    for task, method, seed, out in cells(values, runs):
        typer.echo(f"--task {task} --method {method} --seed {seed} --out {out}")


def sweep(
    stage: Annotated[
        str, typer.Option("--stage", help="finetune, or pretrain for its finetune.parts.")
    ] = "finetune",
    runs: Runs = Path("runs"),
    prior: options.Part = None,
    demonstrations: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="As of finetune, for all runs.", callback=folder_to_read),
    ] = None,
    data: Annotated[
        Path, typer.Option(metavar="DIR", help="Shards, of pretrain.", callback=folder_to_read)
    ] = Path("data/shards"),
    models: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder of its parts.", callback=folder_to_read)
    ] = Path("models"),
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", min=1, max=options.MOST_PROCESSES,
            help="Runs at once on this machine; one a core by default.",
        ),
    ] = None,
    ray: options.Ray = None,
    cpus: options.Cpus = None,
    gpus: options.Gpus = None,
    threads: options.Threads = 1,
    device: options.Device = "cpu",
    logs: options.Logs = "logs",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:  # fmt: skip
    """Make every run of finetune's matrix that is not there yet, several at a time."""
    from cli.params import Sections
    from cli.sweep_jobs import sweep_of_finetune, sweep_of_pretrain
    from parrot_data.errors import UserError

    cluster = on_ray(ray, cpus, gpus, jobs)
    read = Sections(params, overrides)
    threads = threads or 1
    told = ["--threads", str(threads)]
    if cluster is None:
        told += ["--logs", logs, "--params", str(params)]
        told += [word for override in overrides or () for word in ("--set", override)]
    else:
        told += ["--logs", ""]  # curves of a node are of no use to anybody here
    if stage == "finetune":
        told += ["--device", device]
        wanted = sweep_of_finetune(read, runs, prior, demonstrations, told)
    elif stage == "pretrain":
        wanted = sweep_of_pretrain(read, models, data, told)
    else:
        raise UserError(f"--stage {stage[:60]!a} cannot be swept: name finetune or pretrain")
    _run(wanted, read, cluster, jobs or available_cores(), threads)


def _run(wanted: Sweep, read: Sections, cluster: OnRay | None, jobs: int, threads: int) -> None:
    """Make what is missing, by the cluster or by so many processes."""
    if cluster is None:
        from parrot_data.jobs.here import run_here

        watch(wanted, lambda listen: run_here(wanted.missing, jobs, threads, listen))
        return
    import yaml

    from parrot_data.jobs.on_ray import Kind, run_on_ray

    text = yaml.safe_dump(read.raw, sort_keys=False)
    kind = Kind(wanted.module, wanted.output, text, wanted.environment, threads)
    watch(wanted, lambda listen: run_on_ray(wanted.missing, kind, cluster, listen))
