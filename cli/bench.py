"""The command that measures: every figure beside its rival's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.checkout import need_checkout
from cli.console import LEAST_WIDTH, print_error, print_if_read
from cli.options import PARAMS, Out, Overrides, Params, Prior, Workers, available_cores, set_threads
from cli.paths import folder_to_write
from cli.progress import show_progress
from cli.signals import exit_code_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from benchmarks.row import Result
    from benchmarks.setting import Values


def bench(
    out: Out,
    rows: Annotated[
        str | None,
        typer.Option(metavar="NAME,...", help="Groups of rows, such as env,sac; all by default."),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="Run all of the code, too briefly to tell anything.")
    ] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Measure anew what results.json has already.")
    ] = False,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Measure speed, memory and growth beside other tools, on one core; leave the machine idle.

    Rows that results.json has, of the same code, values and machine, are not measured again. Exits
    with 1 where a row failed.
    """
    need_checkout("bench")
    from benchmarks.bench import bench as measure

    set_threads(1)
    values, groups = _values(params, overrides), rows.split(",") if rows else None
    checkout = params.resolve().parent
    try:
        with show_progress("bench") as progress:
            results = measure(
                values, checkout, out, groups, is_quick=quick, is_anew=again, progress=progress
            )
    except KeyboardInterrupt as interrupt:
        print_error(
            f"interrupted; {out / 'results.md'} has the rows measured so far, and the same command "
            "goes on from there"
        )
        raise typer.Exit(exit_code_of(interrupt)) from None
    _print(results)
    print_if_read(f"\n{out / 'results.md'} has a note on every row.")
    if failed := [result.row.name for result in results if result.is_failure]:
        print_error(
            f"{len(failed)} of {len(results)} rows failed ({'; '.join(failed)}): mend what "
            "results.md says of them, and call again for these alone"
        )
        raise typer.Exit(1)


def bench_compare(
    before: Annotated[Path, typer.Argument(metavar="BEFORE.json")],
    after: Annotated[Path, typer.Argument(metavar="AFTER.json")],
    tolerance: Annotated[
        float, typer.Option(min=0, max=10, help="Share by which a figure may be worse.")
    ] = 0.1,
) -> None:
    """Compare two results.json of `parrot bench` from one machine; exit with 1 where one is worse.

    Only our own figures count: a rate that fell, a cost that rose. What a rival's figure did
    meanwhile says what the machine did, where the rival's code is not ours.
    """
    need_checkout("bench-compare")
    from benchmarks.compare import compare, comparison_table

    changes = compare(before, after, tolerance)
    _show(comparison_table(changes))
    if worse := [change.name for change in changes if change.verdict == "worse"]:
        print_error(
            f"{len(worse)} of {len(changes)} rows are worse by more than {100 * tolerance:g} % "
            f"({'; '.join(worse)}): measure them again on an idle machine, then look for the cause"
        )
        raise typer.Exit(1)


def profile(out: Out, params: Params = PARAMS, overrides: Overrides = None) -> None:
    """Write where a second of generation and one of fine-tuning goes, function by function."""
    need_checkout("profile")
    from benchmarks.profiles import write_profile

    set_threads(1)
    values = _values(params, overrides)
    with show_progress("profile") as progress:
        path = write_profile(values, params.resolve().parent, out, progress=progress)
    print_if_read(f"wrote {path}")


def bench_learning(
    prior: Prior,
    out: Out,
    runs: Annotated[
        Path,
        typer.Option(
            "--runs", metavar="DIR", help="Folder to keep runs in.", callback=folder_to_write
        ),
    ],
    task: Annotated[
        str | None, typer.Option(help="The first of finetune.tasks by default.")
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, max=1000, help="Runs of each variant.")] = 3,
    variants: Annotated[str, typer.Option(metavar="NAME,...")] = "fast,plain,image",
    workers: Workers = None,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Learn one task along the fast paths, the plain ones and from images, and compare curves."""
    need_checkout("bench-learning")
    from benchmarks.learning import Runs, measure_learning
    from cli.params import Sections
    from parrot_models.methods.params import EvaluateParams

    values = _values(params, overrides)
    evaluation = Sections(params, overrides)("evaluate", EvaluateParams)
    what = Runs(values, evaluation, prior, task or values.finetune.tasks[0], runs)
    names, checkout = variants.split(","), params.resolve().parent
    with show_progress("bench-learning") as progress:
        measure_learning(
            what, names, seeds, workers or available_cores(), out, checkout, progress=progress
        )
    print_if_read((out / "learning.md").read_text(encoding="utf-8"))


def _values(params: Path, overrides: list[str] | None) -> Values:
    from benchmarks.setting import Values
    from cli.params import Sections
    from parrot_data.filter import FilterParams
    from parrot_data.generate import GenerateParams
    from parrot_data.shard import ShardParams
    from parrot_models.finetune import FinetuneParams
    from parrot_models.train_prior import TrainPriorParams

    read = Sections(params, overrides)
    return Values(
        environment=read.environment(),
        generate=read("generate", GenerateParams),
        filter=read("filter", FilterParams),
        shard=read("shard", ShardParams),
        keypoints=read.keypoints(),
        train_prior=read("train_prior", TrainPriorParams),
        finetune=read("finetune", FinetuneParams),
    )


def _print(results: Sequence[Result]) -> None:
    """The table, then why rows were not measured."""
    from benchmarks.table import rich_table

    _show(rich_table(results))
    for result in results:
        if result.trouble:
            print_if_read(f"{result.row.name}: {result.trouble}")


def _show(table: Table) -> None:
    from rich.console import Console

    console = Console()
    console.width = max(console.width, LEAST_WIDTH)
    with console.capture() as shown:
        console.print(table)
    print_if_read(shown.get())
