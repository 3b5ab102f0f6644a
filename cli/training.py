"""The stages that train: what comes before any task, and the agents of tasks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli import options
from cli.console import print_summary
from cli.live import live_curves
from cli.options import PARAMS, Out, Overrides, Params
from cli.paths import folder_to_read
from cli.progress import show_progress
from parrot_data.progress import Progress, Scalars, silent, unheard

if TYPE_CHECKING:
    from parrot_models.training.ranks import Ranks


def train_prior(
    data: options.Shards,
    out: Out,
    threads: options.Threads = None,
    device: options.Device = "cpu",
    logs: options.Logs = "logs",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Fit the behavioural prior, and what the agent will see, to the shards.

    Several processes share the work where torchrun starts them: see docs/distributed.md.
    """
    from cli.params import Sections
    from cli.ranks import ranks_of
    from parrot_models import train_prior as stage

    options.set_threads(threads)
    with ranks_of(device) as (ranks, where):
        read = Sections(params, overrides)
        values = read("train_prior", stage.TrainPriorParams)
        keypoints = read.keypoints()
        with _listeners("train-prior", logs, out, ranks) as (listen, scalars):
            summary = stage.train_prior(
                *(values, keypoints, data, out),
                device=where,
                progress=listen,
                scalars=scalars,
                ranks=ranks,
            )
    if ranks.is_first:
        print_summary(f"trained {out}", summary)


def pretrain(
    data: options.Shards,
    out: Out,
    method: Annotated[str, typer.Option(help="A part of section pretrain, such as bc.")],
    threads: options.Threads = None,
    logs: options.Logs = "logs",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Train what a baseline brings along to a task, such as a cloned policy, on the shards.

    Several processes share the work where torchrun starts them: see docs/distributed.md.
    """
    from cli.params import Sections
    from cli.ranks import ranks_of
    from parrot_models import pretrain as stage

    options.set_threads(threads)
    with ranks_of("cpu") as (ranks, _):
        read = Sections(params, overrides)
        values = read("pretrain", stage.PretrainParams)
        keypoints = read.keypoints()
        with _listeners("pretrain", logs, out, ranks) as (listen, scalars):
            summary = stage.pretrain(
                *(values, keypoints, method, data, out),
                progress=listen,
                scalars=scalars,
                ranks=ranks,
            )
    if ranks.is_first:
        print_summary(f"pre-trained {out}", summary)


@contextmanager
def _listeners(
    title: str, logs: str, out: Path, ranks: Ranks
) -> Iterator[tuple[Progress, Scalars]]:
    """What shows a training while it lasts; of several processes, the first alone."""
    if not ranks.is_first:
        yield silent, unheard
        return
    with live_curves(logs, out) as scalars, show_progress(title) as listen:
        yield listen, scalars


def judge(
    model: options.Model,
    out: Out,
    threads: options.Threads = 1,
    device: options.Device = "cpu",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Roll a model out by itself in scenes that no data show, and probe what it sees."""
    from cli.params import Sections
    from parrot_models import judge as stage
    from parrot_models.networks.device import named_device

    options.set_threads(threads)
    where = named_device(device)
    read = Sections(params, overrides)
    values = read("judge", stage.JudgeParams)
    with show_progress("judge") as progress:
        summary = stage.judge(
            values, read.environment(), model, out, device=where, progress=progress
        )
    print_summary(f"judged {model} into {out}", summary)


def finetune(
    task: Annotated[str, typer.Option(help="Name of the new task, such as pick-bar.")],
    method: Annotated[str, typer.Option(help="parrot, or a baseline such as sac.")],
    seed: Annotated[
        int, typer.Option(min=0, max=2**63 - 1, help="Seed of the agent and its episodes.")
    ],
    out: Out,
    prior: options.Part = None,
    demonstrations: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Output of shard with episodes of the task: half of each batch is of them.",
            callback=folder_to_read,
        ),
    ] = None,
    skip_done: options.SkipDone = False,
    threads: options.Threads = 1,
    device: options.Device = "cpu",
    logs: options.Logs = "logs",
    params: Params = PARAMS,
    overrides: Overrides = None,
) -> None:
    """Learn a new task by RL, from what the method was pre-trained as."""
    from cli.params import Sections
    from parrot_models import finetune as stage
    from parrot_models.methods.params import EvaluateParams
    from parrot_models.methods.table import part_folder
    from parrot_models.networks.device import named_device

    options.set_threads(threads)
    where = named_device(device)
    read = Sections(params, overrides)
    values = read("finetune", stage.FinetuneParams)
    evaluation = read("evaluate", EvaluateParams)
    world = read.environment()
    with live_curves(logs, out) as scalars, show_progress("finetune") as listen:
        summary = stage.finetune(
            *(values, evaluation, world, prior or part_folder(method), task, method, seed, out),
            demonstrations=demonstrations,
            skip_done=skip_done,
            device=where,
            progress=listen,
            scalars=scalars,
        )
    print_summary(f"fine-tuned {out}", summary)


def evaluate(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="Output of finetune.", callback=folder_to_read)
    ],
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
    print_summary(f"evaluated {run}", summary, is_product=True)
