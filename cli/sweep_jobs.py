"""The jobs of a sweep: which outputs are wanted, and which are there already."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from cli.params import Sections
    from parrot_data.jobs.job import Job
    from parrot_data.stores.outputs.layout import Output
    from parrot_data.worlds.params import EnvironmentParams
    from parrot_models.methods.params import FinetuneParams


class Sweep(NamedTuple):
    """What is wanted of a stage.

    Attributes:
        module: the stage's.
        output: of its folders.
        environment: the world it acts in; None where it reads data alone.
        jobs: all.
        missing: those of them whose output is not there.
    """

    module: str
    output: Output
    environment: EnvironmentParams | None
    jobs: list[Job]
    missing: list[Job]


def cells(values: FinetuneParams, runs: Path) -> Iterator[tuple[str, str, str, Path]]:
    """Task, method, seed and folder of every run of a matrix.

    Seed by seed, so that an unfinished study has the first seeds of everything.
    """
    for seed, task, method in itertools.product(values.seeds, values.tasks, values.methods):
        yield task, method, seed, runs / task / method / seed


def sweep_of_finetune(
    read: Sections, runs: Path, prior: Path | None, shown: Path | None, told: Sequence[str]
) -> Sweep:
    """A run for each cell of the matrix; it is there if it has the same prior, params and seed.

    Args:
        read: params.
        runs: folder they lie in.
        prior: what all methods start from, or None for each method's own.
        shown: demonstrations.
        told: further arguments of each.
    """
    from parrot_data.errors import UserError
    from parrot_data.jobs.job import Job
    from parrot_data.stores.outputs.work import tidy
    from parrot_data.worlds.make import make_world
    from parrot_models import finetune as stage
    from parrot_models.methods.params import EvaluateParams
    from parrot_models.methods.runs import is_run_of
    from parrot_models.methods.table import part_folder

    environment = read.environment()
    world = make_world(environment)
    values, evaluation = read("finetune", stage.FinetuneParams), read("evaluate", EvaluateParams)
    jobs, missing = [], []
    for task, method, seed, out in cells(values, runs):
        inputs = {"--prior": prior or part_folder(method)}
        inputs |= {} if shown is None else {"--demonstrations": shown}
        arguments = ("finetune", "--task", task, "--method", method, "--seed", seed, *told)
        job = Job(f"{task}/{method}/{seed}", arguments, inputs, out, size=values.env_steps)
        jobs.append(job)
        of_run = (world, inputs["--prior"], task, method, int(seed), out)
        try:
            config = stage.config_of_run(
                values, evaluation, environment, *of_run, demonstrations=shown
            )
            is_there = is_run_of(out, config)
        except UserError:  # the run itself says what is wrong
            is_there = False
        if is_there:
            tidy(out, stage.OUTPUT)
        missing += [] if is_there else [job]
    return Sweep(stage.__name__, stage.OUTPUT, environment, jobs, missing)


def sweep_of_pretrain(read: Sections, models: Path, data: Path, told: Sequence[str]) -> Sweep:
    """A training for each of `finetune.parts`; it is there if of the same params and data.

    Args:
        read: params.
        models: folder they lie in.
        data: what `shard` wrote.
        told: further arguments of each.

    Raises:
        UserError: there are no such data.
    """
    from parrot_data.jobs.job import Job
    from parrot_data.stores.manifest import MANIFEST, load_any_manifest
    from parrot_data.stores.outputs.layout import json_in
    from parrot_data.stores.outputs.work import tidy
    from parrot_data.stores.publish import sha256_file
    from parrot_models import pretrain as stage
    from parrot_models.methods.params import FinetuneParams

    load_any_manifest(data)
    of_data = sha256_file(data / MANIFEST)
    values = read("pretrain", stage.PretrainParams)
    keypoints = json.loads(read.keypoints().model_dump_json())
    jobs, missing = [], []
    for part in read("finetune", FinetuneParams).parts:
        out, params = models / part, getattr(values, part)
        job = Job(
            part, ("pretrain", "--method", part, *told), {"--data": data}, out, size=params.steps
        )
        jobs.append(job)
        found = json_in(out / "config.json")
        made_from = found.get("params", {}) if isinstance(found, dict) else {}
        is_there = (
            made_from.get("pretrain") == json.loads(params.model_dump_json())
            and made_from.get("keypoints", keypoints) == keypoints
            and found.get("data_manifest_sha256") == of_data
        )
        if is_there:
            tidy(out, stage.OUTPUT)
        missing += [] if is_there else [job]
    return Sweep(stage.__name__, stage.OUTPUT, None, jobs, missing)
