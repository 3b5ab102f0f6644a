"""The `parrot` command: one command a stage, in the pipeline's order, and others by panels.

A command translates its options, calls its stage and prints what came back. It imports the stage
inside, so that `parrot --help` and the data commands load neither torch nor the simulator.
"""

from __future__ import annotations

import itertools
import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from cli import compare, data, edits, exchange, options, panels, studies, tools, training
from cli.audit import audit
from cli.bench import bench, bench_compare, bench_learning, profile
from cli.card import card
from cli.console import print_if_read, print_version
from cli.film import film
from cli.options import PARAMS, Out, Overrides, Params
from cli.paths import folder_to_read
from cli.project import init
from cli.sweep import matrix, sweep
from cli.torture import torture
from cli.usage import Usage
from cli.view import view

app = typer.Typer(
    cls=Usage,
    help="PARROT behavioural priors for robot RL: from scripted episodes to a fine-tuned agent.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def parrot(
    version: Annotated[  # noqa: ARG001 - its callback prints it
        bool,
        typer.Option("--version", callback=print_version, is_eager=True, help="Print and exit."),
    ] = False,
) -> None:
    """Stand before every command: --version is the one option of all."""
    if "DVC_STAGE" in os.environ:
        from cli.project_lock import check_locked

        check_locked()


in_pipeline = partial(app.command, rich_help_panel=panels.PIPELINE)
of_data = partial(app.command, rich_help_panel=panels.DATA)
of_studies = partial(app.command, rich_help_panel=panels.STUDIES)
a_tool = partial(app.command, rich_help_panel=panels.TOOLS)
in_maintenance = partial(app.command, rich_help_panel=panels.MAINTENANCE)

in_pipeline()(data.generate)
in_pipeline("filter")(data.filter_)
in_pipeline()(data.shard)
in_pipeline()(training.train_prior)
in_pipeline()(training.pretrain)
in_pipeline()(training.judge)
in_pipeline()(studies.parts)
in_pipeline()(training.finetune)
in_pipeline()(training.evaluate)
in_pipeline()(film)


@in_pipeline()
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


of_data("import")(exchange.import_)
of_data()(exchange.export)
of_data()(edits.select)
of_data()(edits.split)
of_data()(edits.merge)
of_data()(edits.append)
of_data()(view)
of_data()(tools.verify)
of_data()(compare.diff)
of_data()(compare.regenerate)

of_studies()(sweep)
of_studies()(matrix)
of_studies()(studies.explore)
of_studies()(audit)
of_studies()(studies.report_study)

a_tool()(init)
a_tool()(tools.info)
a_tool()(card)
a_tool()(tools.tasks)
a_tool()(tools.prune)

in_maintenance()(tools.contact_sheet)
in_maintenance()(tools.measure_objects)
in_maintenance()(bench)
in_maintenance()(bench_compare)
in_maintenance()(profile)
in_maintenance()(bench_learning)
in_maintenance()(torture)
