"""Many runs of finetune: the matrix that params name, on this machine or on a Ray cluster."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.console import print_error, print_if_read
from cli.options import PARAMS, Overrides, Params, available_cores, on_ray
from cli.paths import folder_to_read
from cli.progress import Progress, share_of, show_progress

if TYPE_CHECKING:
    from cli.params import Sections
    from parrot_data.jobs.job import Doing, Ended, Job, Listen
    from parrot_models.methods.params import FinetuneParams

NAMED = 4  # of the jobs that are worked on, at once in a line of progress

Runs = Annotated[
    Path, typer.Option(metavar="DIR", help="Folder the runs lie in.", callback=folder_to_read)
]


def cells(values: FinetuneParams, runs: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Task, method, seed and folder of every run of a matrix.

    Seed by seed, so that an unfinished study has the first seeds of everything.
    """
    for seed, task, method in itertools.product(values.seeds, values.tasks, values.methods):
        yield task, method, seed, runs / task / method / seed


def matrix(runs: Runs = Path("runs"), params: Params = PARAMS, overrides: Overrides = None) -> None:
    """Print the options of each run of finetune's matrix, a line a run, for another scheduler."""
    from cli.params import Sections
    from parrot_models.methods.params import FinetuneParams

    values = Sections(params, overrides)("finetune", FinetuneParams)
    for task, method, seed, out in cells(values, runs):
        typer.echo(f"--task {task} --method {method} --seed {seed} --out {out}")


def sweep(
    runs: Runs = Path("runs"),
    prior: options.Part = None,
    demonstrations: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="As of finetune, for all runs.", callback=folder_to_read),
    ] = None,
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

    cluster = on_ray(ray, cpus, gpus, jobs)
    read = Sections(params, overrides)
    threads = threads or 1
    told = ["--threads", str(threads), "--device", device]
    if cluster is None:
        told += ["--logs", logs, "--params", str(params)]
        told += [word for override in overrides or () for word in ("--set", override)]
    else:
        told += ["--logs", ""]  # curves of a node are of no use to anybody here
    wanted = list(_jobs(read, runs, prior, demonstrations, told))
    missing = _missing(read, wanted)
    if cluster is None:
        from parrot_data.jobs.here import run_here

        at_once = jobs or available_cores()
        _watch(wanted, missing, lambda listen: run_here(missing, at_once, threads, listen))
        return
    import yaml

    from parrot_data.jobs.on_ray import Kind, run_on_ray
    from parrot_models import finetune as stage

    text = yaml.safe_dump(read.raw, sort_keys=False)
    kind = Kind(stage.__name__, stage.OUTPUT, text, read.environment(), threads)
    _watch(wanted, missing, lambda listen: run_on_ray(missing, kind, cluster, listen))


def _jobs(
    read: Sections, runs: Path, prior: Path | None, shown: Path | None, told: Sequence[str]
) -> Iterator[Job]:
    """A job for each run of the matrix.

    Args:
        read: params.
        runs: folder they lie in.
        prior: what all methods start from, or None for each method's own.
        shown: demonstrations.
        told: further arguments.
    """
    from parrot_data.jobs.job import Job
    from parrot_models.methods.params import FinetuneParams
    from parrot_models.methods.table import part_folder

    values = read("finetune", FinetuneParams)
    for task, method, seed, out in cells(values, runs):
        yield Job(
            f"{task}/{method}/{seed}",
            ("finetune", "--task", task, "--method", method, "--seed", seed, *told),
            {
                "--prior": prior or part_folder(method),
                **({} if shown is None else {"--demonstrations": shown}),
            },
            out,
            size=values.env_steps,
        )


def _missing(read: Sections, jobs: Sequence[Job]) -> list[Job]:
    """Those whose run of the same prior, params and seed is not there, see `finetune`."""
    from parrot_data.errors import UserError
    from parrot_data.worlds.make import make_world
    from parrot_models.finetune import FinetuneParams, config_of_run
    from parrot_models.methods.params import EvaluateParams
    from parrot_models.methods.runs import is_run_of

    environment = read.environment()
    world = make_world(environment)
    of_all = (read("finetune", FinetuneParams), read("evaluate", EvaluateParams), environment)

    def is_there(job: Job) -> bool:
        task, method, seed = job.name.split("/")
        prior, shown = job.inputs["--prior"], job.inputs.get("--demonstrations")
        of_run = (world, prior, task, method, int(seed), job.out)
        try:
            config = config_of_run(*of_all, *of_run, demonstrations=shown)
            return is_run_of(job.out, config)
        except UserError:  # the run itself says what is wrong
            return False

    return [job for job in jobs if not is_there(job)]


def _watch(
    jobs: Sequence[Job],
    missing: Sequence[Job],
    run: Callable[[Listen], Generator[Ended, None, None]],
) -> None:
    """Run what is missing; say how far all of it is, and what failed.

    Raises:
        UserError: some failed.
    """
    from parrot_data.errors import UserError

    failed: list[str] = []
    with show_progress("sweep") as progress:
        overall = _Overall(jobs, missing, progress)
        overall.listen({})
        if not missing:
            return
        with closing(run(overall.listen)) as endings:
            for job, error in endings:
                overall.end(job)
                if error:
                    failed.append(job.name)
                    print_error(f"{job.name}: {error}")
                else:
                    print_if_read(f"made {job.out}")
    if failed:
        raise UserError(
            f"{len(failed)} of {len(jobs)} runs failed, {', '.join(failed)}; the others are "
            "there, and the same command tries these again"
        )


class _Overall:
    """The progress of all jobs together, in the units of their sizes.

    Args:
        jobs: all.
        missing: those of them that are to be made.
        progress: called with it.
    """

    def __init__(self, jobs: Sequence[Job], missing: Sequence[Job], progress: Progress) -> None:
        self._progress, self._num_jobs = progress, len(jobs)
        self._total = sum(job.size for job in jobs)
        self._sizes = {job.name: job.size for job in missing}  # of what has not ended
        self._doing: dict[str, Doing] = {}
        self._done = 0

    def listen(self, doing: Mapping[str, Doing]) -> None:
        """Take note of what is worked on."""
        self._doing = {name: each for name, each in doing.items() if name in self._sizes}
        parts = [self._sizes[name] * share_of(each.line) for name, each in self._doing.items()]
        # A job that begins again elsewhere has lost what it had done, and the count stays
        self._done = max(self._done, self._ended + round(sum(parts)))
        self._progress(self._done, self._total, self._note())

    def end(self, job: Job) -> None:
        """Take note of a job that has ended, in whatever way."""
        del self._sizes[job.name]
        self.listen(self._doing)

    @property
    def _ended(self) -> int:
        return self._total - sum(self._sizes.values())

    def _note(self) -> str:
        said = [f"{self._num_jobs - len(self._sizes)} of {self._num_jobs} runs"]
        for name, each in list(self._doing.items())[:NAMED]:
            where = f" on {each.where}" if each.where else ""
            said.append(f"{name}{where} {share_of(each.line):.0%}")
        more = len(self._doing) - NAMED
        return "; ".join([*said, *([f"{more} more"] if more > 0 else [])])
