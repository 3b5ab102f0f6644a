"""The `parrot` command: one command a stage, in the pipeline's order.

A command translates its options, calls its stage and prints what came back. It imports the stage
inside, so that `parrot --help` and the data commands load neither torch nor the simulator.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer

from cli import data, exchange, options, studies, tools, training
from cli.audit import audit
from cli.bench import bench, bench_compare, bench_learning, profile
from cli.console import print_if_read, print_version
from cli.film import film
from cli.options import PARAMS, Out, Overrides, Params
from cli.paths import folder_to_read
from cli.torture import torture
from cli.usage import Usage

app = typer.Typer(
    cls=Usage,
    help="PARROT behavioural priors for robot RL: from scripted episodes to a fine-tuned agent.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


@app.callback()
def parrot(
    version: Annotated[
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    """Stand before every command: --version is the one option of all."""


app.command()(data.generate)
app.command("import")(exchange.import_)
app.command("filter")(data.filter_)
app.command()(data.shard)
app.command()(exchange.export)
app.command()(training.train_prior)
app.command()(training.pretrain)
app.command()(training.judge)
app.command()(training.finetune)
app.command()(training.evaluate)
app.command()(film)


@app.command()
def report(
    out: Out,
    data: options.Data = Path("data/shards"),
    kept: options.Kept = Path("data/kept"),
    prior: options.Prior = Path("models/prior"),
    judged: Annotated[
        Path,
        typer.Option(
            metavar="DIR", help="What judge made, a folder a model.", callback=folder_to_read
        ),
    ] = Path("judged"),
    runs: Annotated[
        Path, typer.Option(metavar="DIR", help="Runs of finetune.", callback=folder_to_read)
    ] = Path("runs"),
    audited: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="What audit made of this prior, to hold against the runs.",
            callback=folder_to_read,
        ),
    ] = None,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Make one self-contained page of data, prior and agents; print the results.

    Parts that finetune.parts and finetune.flows name lie beside the prior. What was not judged is
    reported without.
    """
    from cli.params import Sections
    from parrot_models import report as stage
    from parrot_models.finetune import FinetuneParams

    read = Sections(params, overrides)
    values = read("report", stage.ReportParams)
    matrix = read("finetune", FinetuneParams)
    wanted = list(itertools.product(matrix.tasks, matrix.methods, matrix.seeds))
    parts = {name: prior.parent / name for name in (*matrix.flows, *matrix.parts)}
    table = stage.report(
        values, wanted, data, kept, prior, parts, judged, runs, out, audited=audited
    )
    print_if_read(f"{table}\n\nReport: {out / 'index.html'}")


app.command()(studies.parts)

# Studies, beside the pipeline
app.command()(studies.matrix)
app.command()(studies.explore)
app.command()(audit)
app.command()(studies.report_study)

# Tools
app.command()(tools.info)
app.command()(tools.verify)
app.command()(tools.prune)
app.command()(tools.measure_objects)
app.command()(tools.contact_sheet)
app.command()(tools.tasks)
app.command()(bench)
app.command()(bench_compare)
app.command()(profile)
app.command()(bench_learning)
app.command()(torture)
