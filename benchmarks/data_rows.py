"""The data stages: two workers and one, storing and simulating, loading and learning."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from time import perf_counter, process_time

import numpy as np

from benchmarks.datasets import decoded, demonstrations, filtered, repeated_raw_data
from benchmarks.priors import prior_in_training, training_step
from benchmarks.row import Figures, Row, at_least, at_least_itself, at_most
from benchmarks.setting import Setting
from benchmarks.timing import interleaved
from parrot_data.filter import filter_episodes
from parrot_data.generate import GenerateParams, generate
from parrot_data.shard import shard
from parrot_models.training.likelihood import negative_log_likelihood

EPISODES_PER_FILE = 25  # small, so that both workers end together


def attempts_of_two_workers(setting: Setting) -> Figures:
    """Scripted attempts an hour of the stage `generate`, wall time."""
    params = _generate_params(setting, setting.scale.attempts)
    subjects = [_generation(setting, params, workers) for workers in (2, 1)]
    two, one = _wall_seconds(setting, *subjects)
    an_hour = 3600 * params.num_episodes
    note = (
        f"Wall time of the whole stage for {params.num_episodes} attempts, successes or not, "
        f"{EPISODES_PER_FILE} a file; the start of the two processes is in it."
    )
    return Figures(an_hour / two, an_hour / one, note)


def stages_against_simulation(setting: Setting) -> Figures:
    """Seconds from nothing to shards, and seconds of simulating the same episodes."""
    params = _generate_params(setting, setting.scale.stage_episodes)
    whole = _generation_to_shards(setting, params)
    with closing(demonstrations(setting.values)) as simulated:

        def simulate() -> None:
            for index in range(params.num_episodes):
                simulated.episode(index)

        ours, simulation = _wall_seconds(setting, whole, simulate)
    note = f"generate, filter and shard of {params.num_episodes} attempts, one worker, wall time."
    return Figures(ours, simulation, note)


def shards_of_two_workers(setting: Setting) -> Figures:
    """Seconds of the stage `shard`, wall time."""
    num_episodes = setting.scale.stored_sizes[-1]
    two, one = _wall_seconds(setting, *(_sharding(setting, workers) for workers in (2, 1)))
    note = f"Both stores of {num_episodes:,} episodes; the start of the two processes is in it."
    return Figures(two, one, note)


def shards_in_one_process(setting: Setting) -> Figures:
    """Milliseconds of one core an episode in the process that shares out, and in one alone."""
    num_episodes = setting.scale.stored_sizes[-1]
    subjects = [_sharding(setting, workers) for workers in (2, 1)]
    ours, alone = interleaved(subjects, [1, 1], setting.scale.stage_rounds, process_time)
    note = (
        f"Both stores of {num_episodes:,} episodes: what two workers leave to the process that "
        "started them, which more of them would leave it, too."
    )
    return Figures(1e3 * ours / num_episodes, 1e3 * alone / num_episodes, note)


def loader_against_training(setting: Setting) -> Figures:
    """Batches/s from the decoded shards, and batches/s that training takes."""
    params = setting.values.train_prior
    num_episodes = setting.scale.stored_sizes[-1]
    batches = decoded(setting, num_episodes)
    rng = np.random.default_rng(0)
    prior, batch = prior_in_training(setting.values), batches.sample(params.batch_size, rng)
    step = training_step(
        prior.parameters(),
        lambda: negative_log_likelihood(prior, batch, params.precision),
        params.learning_rate,
    )
    load, train = setting.cpu_seconds(lambda: batches.sample(params.batch_size, rng), step)
    note = (
        f"Batches of {params.batch_size} from {num_episodes} episodes; the step trains the prior "
        f"of params.yaml ({params.encoder.kind}, {params.precision}); augmentation is in neither."
    )
    return Figures(1 / load, 1 / train, note)


def _generate_params(setting: Setting, num_episodes: int) -> GenerateParams:
    changes = {"num_episodes": num_episodes, "episodes_per_file": EPISODES_PER_FILE}
    return setting.values.generate.model_copy(update=changes)


def _generation(setting: Setting, params: GenerateParams, workers: int) -> Callable[[], None]:
    out = setting.scratch / f"generated-{workers}"

    def run() -> None:
        generate(params, setting.values.tabletop, out, workers=workers)
        shutil.rmtree(out)

    return run


def _sharding(setting: Setting, workers: int) -> Callable[[], None]:
    raw = repeated_raw_data(setting, setting.scale.stored_sizes[-1])
    kept, out = filtered(raw), setting.scratch / f"sharded-by-{workers}"

    def run() -> None:
        shard(setting.values.shard, raw, kept, out, workers=workers)
        shutil.rmtree(out)

    return run


def _generation_to_shards(setting: Setting, params: GenerateParams) -> Callable[[], None]:
    values = setting.values
    folder = setting.scratch / "whole"
    raw, kept, shards = (folder / name for name in ("raw", "kept", "shards"))

    def run() -> None:
        generate(params, values.tabletop, raw, workers=1)
        filter_episodes(values.filter, raw, kept)
        shard(values.shard, raw, kept, shards)
        shutil.rmtree(folder)

    return run


def _wall_seconds(setting: Setting, *subjects: Callable[[], None]) -> list[float]:
    return interleaved(subjects, [1] * len(subjects), setting.scale.stage_rounds, perf_counter)


ROWS = (
    Row(
        "scripted attempts, two workers",
        "one worker",
        "attempts/h",
        (at_least(1.9), at_least_itself(140_000.0)),
        attempts_of_two_workers,
    ),
    Row(
        "generate to shards, whole stages",
        "its simulation alone",
        "s",
        (at_most(1.15),),
        stages_against_simulation,
    ),
    Row(
        "shard, two workers",
        "one worker",
        "s",
        (at_most(0.75),),
        shards_of_two_workers,
    ),
    Row(
        "shard, the part of one process",
        "one worker",
        "ms/episode",
        (at_most(0.25),),
        shards_in_one_process,
    ),
    Row(
        "batches from shards to the training step",
        "the training step",
        "batches/s/core",
        (at_least(3.0),),
        loader_against_training,
    ),
)
