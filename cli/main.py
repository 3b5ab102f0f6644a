"""The `parrot` command: one command a stage, in the pipeline's order.

A command translates its options, calls its stage and prints what came back. It imports the stage
inside, so that `parrot --help` and the data commands load neither torch nor the simulator.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Annotated

import typer

from cli import options, studies, tools
from cli.bench import bench, bench_learning, profile
from cli.console import Commands, print_summary, print_version
from cli.options import PARAMS, Out, Overrides, Params, available_cores
from cli.progress import show_progress

app = typer.Typer(
    cls=Commands,
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


@app.command()
def generate(
    out: Out, workers: options.Workers = None, params: Params = PARAMS, overrides: Overrides = None
) -> None:
    """Simulate scripted episodes and record them, failures included."""
    from cli.params import Sections
    from parrot_data import generate as stage
    from parrot_data.envs.params import EnvironmentParams

    read = Sections(params, overrides)
    with show_progress("generate") as progress:
        summary = stage.generate(
            read("generate", stage.GenerateParams),
            read("environment", EnvironmentParams),
            out,
            workers=workers or available_cores(),
            progress=progress,
        )
    print_summary(f"generated {out}", summary)


@app.command("filter")
def filter_(
    episodes: options.Episodes, out: Out, params: Params = PARAMS, overrides: Overrides = None
) -> None:
    """Keep the episodes to learn from; say why the others are not kept."""
    from cli.params import Sections
    from parrot_data import filter as stage

    values = Sections(params, overrides)("filter", stage.FilterParams)
    with show_progress("filter") as progress:
        summary = stage.filter_episodes(values, episodes, out, progress=progress)
    print_summary(f"filtered into {out}", summary)


@app.command()
def shard(
    episodes: options.Episodes,
    kept: options.Kept,
    out: Out,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Write the kept episodes as a Zarr store and as WebDataset tars."""
    from cli.params import Sections
    from parrot_data import shard as stage

    values = Sections(params, overrides)("shard", stage.ShardParams)
    with show_progress("shard") as progress:
        summary = stage.shard(values, episodes, kept, out, progress=progress)
    print_summary(f"sharded into {out}", summary)


@app.command()
def train_prior(
    data: options.Data,
    out: Out,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Fit the behavioural prior, and what the agent will see, to the shards."""
    from cli.params import Sections
    from parrot_data.envs.params import EnvironmentParams
    from parrot_models import train_prior as stage
    from parrot_models.networks.device import named_device

    options.set_threads(threads)
    where = named_device(device)
    read = Sections(params, overrides)
    values = read("train_prior", stage.TrainPriorParams)
    keypoints = read("keypoints", stage.KeypointParams)
    world = read("environment", EnvironmentParams)
    with show_progress("train-prior") as listen:
        summary = stage.train_prior(
            values, keypoints, world, data, out, device=where, progress=listen
        )
    print_summary(f"trained {out}", summary)


@app.command()
def pretrain(
    data: options.Data,
    out: Out,
    method: Annotated[str, typer.Option(help="A part of section pretrain, such as bc.")],
    threads: options.Threads = None,
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Train what a baseline brings along to a task, such as a cloned policy, on the shards."""
    from cli.params import Sections
    from parrot_data.envs.params import EnvironmentParams
    from parrot_models import pretrain as stage

    options.set_threads(threads)
    read = Sections(params, overrides)
    values = read("pretrain", stage.PretrainParams)
    keypoints = read("keypoints", stage.KeypointParams)
    world = read("environment", EnvironmentParams)
    with show_progress("pretrain") as listen:
        summary = stage.pretrain(values, keypoints, world, method, data, out, progress=listen)
    print_summary(f"pre-trained {out}", summary)


@app.command()
def finetune(
    task: Annotated[str, typer.Option(help="Name of the new task, such as pick-bar.")],
    method: Annotated[str, typer.Option(help="parrot, or a baseline such as sac.")],
    seed: Annotated[int, typer.Option(min=0, help="Seed of the agent and its episodes.")],
    out: Out,
    prior: options.Part = None,
    skip_done: options.SkipDone = False,
    threads: options.Threads = 1,
    device: options.Device = "cpu",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Learn a new task by RL, from what the method was pre-trained as."""
    from cli.params import Sections
    from parrot_data.envs.params import EnvironmentParams
    from parrot_models import finetune as stage
    from parrot_models.networks.device import named_device
    from parrot_models.rl.evaluation import EvaluateParams
    from parrot_models.rl.methods import part_folder

    options.set_threads(threads)
    where = named_device(device)
    read = Sections(params, overrides)
    values = read("finetune", stage.FinetuneParams)
    evaluation = read("evaluate", EvaluateParams)
    world = read("environment", EnvironmentParams)
    with show_progress("finetune") as listen:
        summary = stage.finetune(
            *(values, evaluation, world, prior or part_folder(method), task, method, seed, out),
            skip_done=skip_done,
            device=where,
            progress=listen,
        )
    print_summary(f"fine-tuned {out}", summary)


@app.command()
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Output of finetune.")],
    prior: options.MovedPrior = None,
    threads: options.Threads = 1,
    device: options.Device = "cpu",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Measure a fine-tuned agent again, frozen, over the evaluation seeds."""
    from cli.params import Sections
    from parrot_models import evaluate as stage
    from parrot_models.networks.device import named_device

    options.set_threads(threads)
    where = named_device(device)
    values = Sections(params, overrides)("evaluate", stage.EvaluateParams)
    with show_progress("evaluate") as progress:
        summary = stage.evaluate(values, run, prior=prior, device=where, progress=progress)
    print_summary(f"evaluated {run}", summary)


@app.command()
def report(
    out: Out,
    data: options.Data = Path("data/shards"),
    kept: options.Kept = Path("data/kept"),
    prior: options.Prior = Path("models/prior"),
    runs: Annotated[Path, typer.Option(metavar="DIR", help="Runs of finetune.")] = Path("runs"),
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Make one self-contained page of data, prior and agents; print the results.

    Parts that finetune.parts and finetune.flows name lie beside the prior.
    """
    from cli.params import Sections
    from parrot_models import report as stage
    from parrot_models.finetune import FinetuneParams

    read = Sections(params, overrides)
    values = read("report", stage.ReportParams)
    matrix = read("finetune", FinetuneParams)
    wanted = list(itertools.product(matrix.tasks, matrix.methods, matrix.seeds))
    parts = {name: prior.parent / name for name in (*matrix.flows, *matrix.parts)}
    table = stage.report(values, wanted, data, kept, prior, parts, runs, out)
    typer.echo(f"{table}\n\nReport: {out / 'index.html'}")


app.command()(studies.parts)

# Studies, beside the pipeline
app.command()(studies.matrix)
app.command()(studies.explore)
app.command()(studies.report_study)

# Tools
app.command()(tools.info)
app.command()(tools.verify)
app.command()(tools.measure_objects)
app.command()(tools.contact_sheet)
app.command()(tools.tasks)
app.command()(bench)
app.command()(profile)
app.command()(bench_learning)
