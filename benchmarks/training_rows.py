"""Training by several processes, and on data that stream: against one, and against the memmap."""

from __future__ import annotations

import itertools
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np
import torch
from torch import Tensor, distributed

from benchmarks.datasets import decoded, sharded
from benchmarks.priors import prior_in_training, some_batch, training_step
from benchmarks.row import Figures, Row, at_least
from benchmarks.setting import Setting, Values
from benchmarks.timing import interleaved, warmed_up
from parrot_data.stores.arrival import Arrivals
from parrot_models.training.batches import Batches
from parrot_models.training.likelihood import negative_log_likelihood
from parrot_models.training.ranks import ALONE, Ranks
from parrot_models.training.stream import StreamedBatches

NUM_RANKS = 2
BUFFERS = 4  # that hold all episodes together: a stream moves, however small the data


def two_ranks_against_one(setting: Setting) -> Figures:
    """Training steps/s at the same global batch, wall time, a thread each."""
    meeting = setting.scratch / "ranks"
    meeting.unlink(missing_ok=True)
    context = multiprocessing.get_context("spawn")
    arguments = (setting.values, meeting, setting.scale.rounds, setting.scale.steps_of_growth)
    with ProcessPoolExecutor(NUM_RANKS, mp_context=context) as pool:
        waiting = [pool.submit(_steps_a_second, rank, *arguments) for rank in range(NUM_RANKS)]
        together, alone = waiting[0].result()
    params = setting.values.train_prior
    note = (
        f"Steps of the prior of params.yaml ({params.encoder.kind}, {params.precision}) at batches "
        f"of {params.batch_size} in all, averaged over gloo; two processes on one machine, in turn "
        "with the first of them alone. Neither loads nor augments."
    )
    return Figures(together, alone, note)


def _steps_a_second(
    rank: int, values: Values, meeting: Path, rounds: int, num_steps: int
) -> tuple[float, float]:
    """By all ranks and by the first alone, in turn; to be called in a process each."""
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{meeting}", rank=rank, world_size=NUM_RANKS
    )
    ranks = Ranks(rank, NUM_RANKS)
    subjects = [_step_of(values, ranks), *([_step_of(values, ALONE)] if ranks.is_first else [])]
    seconds: list[list[float]] = [[] for _ in subjects]
    for _, (number, step) in itertools.product(range(rounds + 1), enumerate(subjects)):
        if number == 0:
            ranks.wait()
        start = perf_counter()
        for _ in range(num_steps):
            step()
        seconds[number].append((perf_counter() - start) / num_steps)
    ranks.wait()
    distributed.destroy_process_group()
    rates = [1 / median(of_subject[1:]) for of_subject in seconds]  # the first round warms up
    return rates[0], rates[-1]


def _step_of(values: Values, ranks: Ranks) -> Callable[[], None]:
    params = values.train_prior
    prior, batch = prior_in_training(values), some_batch(values, params.batch_size // ranks.count)
    trained = [parameter for parameter in prior.parameters() if parameter.requires_grad]

    def loss_at(_step: int) -> Tensor:
        return negative_log_likelihood(prior, batch, params.precision)

    averaged_at = ranks.averaged(loss_at, trained)
    return training_step(trained, lambda: averaged_at(0), params.learning_rate)


def streaming_against_memmap(setting: Setting) -> Figures:
    """Training steps/s on what streams from a folder's tars, and on what the memmap has; wall."""
    num_episodes = setting.scale.stored_sizes[-1]
    data, params = sharded(setting, num_episodes), setting.values.train_prior
    buffer = max(8, num_episodes // BUFFERS)
    streamed = StreamedBatches(
        Arrivals(str(data), setting.scratch, None), setting.scratch / "held-out",
        params.held_out_fraction, buffer, params.seed,
    )  # fmt: skip
    with closing(streamed):
        sources = (streamed, decoded(setting, num_episodes))
        subjects = [_fed_step(setting.values, each) for each in sources]
        calls = [warmed_up(step, setting.scale.round_s, perf_counter) for step in subjects]
        stream_s, memmap_s = interleaved(subjects, calls, setting.scale.rounds, perf_counter)
    note = (
        f"Steps of the prior of params.yaml at batches of {params.batch_size} of {num_episodes} "
        f"episodes, of which the stream holds {buffer} at once; a thread fetches, checks and "
        "decodes tars meanwhile. Augmentation is in neither."
    )
    return Figures(1 / stream_s, 1 / memmap_s, note)


def _fed_step(values: Values, batches: Batches) -> Callable[[], None]:
    params, steps = values.train_prior, itertools.count()
    prior, rng = prior_in_training(values), np.random.default_rng(0)

    def loss() -> Tensor:
        batch = batches.share(next(steps), params.batch_size, rng)
        return negative_log_likelihood(prior, batch, params.precision)

    return training_step(prior.parameters(), loss, params.learning_rate)


ROWS = (
    Row(
        "prior training steps, two ranks, same global batch",
        "one process",
        "steps/s",
        (at_least(1.5),),
        two_ranks_against_one,
    ),
    Row(
        "prior training steps on streamed tars",
        "on the decoded memmap",
        "steps/s",
        (at_least(0.8),),
        streaming_against_memmap,
    ),
)
