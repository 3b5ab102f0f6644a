"""How cost and memory grow with a dataset: linear the one, flat the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType

from torch import Tensor

from benchmarks.datasets import (
    decoded,
    filtered,
    raw_folder,
    real_successes,
    repeated_raw_data,
    sharded,
    shards_folder,
)
from benchmarks.own_process import in_own_process
from benchmarks.priors import prior_in_training, training_step
from benchmarks.row import Figures, Row, at_most
from benchmarks.setting import Setting
from parrot_data.generate import generate
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.verify import verify
from parrot_models.prior.augment import augment
from parrot_models.prior.batches import step_generator
from parrot_models.prior.likelihood import negative_log_likelihood

# Linear and flat, with room for what any measurement varies by; a line of a manifest for every
# episode is held in memory, kilobytes where the episode itself has 180.
COST_GROWTH, MEMORY_GROWTH, ALLOWED_MB = 1.2, 1.2, 16.0


@dataclass(frozen=True)
class Work:
    """Work on a dataset of some size.

    Attributes:
        prepare: makes what the work needs, before it is measured.
        do: the work; gives the number of units it is divided by.
        unit: what those are.
        is_simulation: whether every episode is simulated, and sizes are smaller.
    """

    prepare: Callable[[Setting, int], object]
    do: Callable[[Setting, int], int]
    unit: str = "episode"
    is_simulation: bool = False


def do_generate(setting: Setting, num_episodes: int) -> int:
    """Simulate and store."""
    params = setting.values.generate.model_copy(
        update={"num_episodes": num_episodes, "episodes_per_file": max(1, num_episodes // 4)}
    )
    out = setting.scratch / "growing-raw"
    generate(params, setting.values.environment, out, workers=1)
    shutil.rmtree(out)
    return num_episodes


def do_store(setting: Setting, num_episodes: int) -> int:
    """Write raw data of episodes that cost no simulation."""
    shutil.rmtree(raw_folder(setting, num_episodes), ignore_errors=True)
    repeated_raw_data(setting, num_episodes)
    return num_episodes


def do_shard(setting: Setting, num_episodes: int) -> int:
    """Write both stores."""
    shutil.rmtree(shards_folder(setting, num_episodes), ignore_errors=True)
    sharded(setting, num_episodes)
    return num_episodes


def do_verify(setting: Setting, num_episodes: int) -> int:
    """Check every byte of both stores."""
    verify(sharded(setting, num_episodes))
    return num_episodes


def do_train(setting: Setting, num_episodes: int) -> int:
    """Train on a dataset that is decoded already: load, augment, step."""
    params = setting.values.train_prior
    batches, prior = decoded(setting, num_episodes), prior_in_training(setting.values)
    number = iter(range(setting.scale.steps_of_growth))

    def loss_at_next_step() -> Tensor:
        rng = step_generator(params.seed, next(number))
        batch = augment(batches.sample(params.batch_size, rng), rng)
        return negative_log_likelihood(prior, batch, params.precision)

    step = training_step(prior.parameters(), loss_at_next_step, params.learning_rate)
    for _ in range(setting.scale.steps_of_growth):
        step()
    return setting.scale.steps_of_growth


def prepare_nothing(_setting: Setting, _num_episodes: int) -> None:
    """For work that begins from nothing."""


def prepare_real(setting: Setting, _num_episodes: int) -> None:
    """The few episodes that are really simulated."""
    real_successes(setting)


def prepare_raw(setting: Setting, num_episodes: int) -> None:
    """Raw data and the decision to keep all of it."""
    filtered(setting, repeated_raw_data(setting, num_episodes))


WORK: Mapping[str, Work] = MappingProxyType(
    {
        "generate": Work(prepare_nothing, do_generate, is_simulation=True),
        "generate, storing alone": Work(prepare_real, do_store),
        "shard": Work(prepare_raw, do_shard),
        "verify": Work(sharded, do_verify),
        "training step": Work(decoded, do_train, unit="step"),
    }
)


def growth_of_cost(setting: Setting, *, name: str) -> Figures:
    """Milliseconds of one core a unit of work, at the largest size and at the smallest."""
    costs = {size: used["cost_ms"] for size, used in _usages(setting, name).items()}
    return _from_smallest_to_largest(costs, f"ms/{WORK[name].unit}")


def growth_of_memory(setting: Setting, *, name: str) -> Figures:
    """Megabytes that the work took, at the largest size and at the smallest."""
    added = {size: used["added_mb"] for size, used in _usages(setting, name).items()}
    return _from_smallest_to_largest(added, "MB on top of the imports")


def _usages(setting: Setting, name: str) -> dict[int, dict[str, float]]:
    """By size, each measured in a process of its own and only once for all rows."""
    work, scale = WORK[name], setting.scale
    usages = {}
    for size in scale.simulated_sizes if work.is_simulation else scale.stored_sizes:
        path = setting.scratch / f"usage-{name}-{size}.json"
        if not path.exists():
            work.prepare(setting, size)
            used = in_own_process(work.do, setting, size)
            cost_ms = 1e3 * used.cpu_s / used.result
            write_json(path, {"cost_ms": cost_ms, "added_mb": 1e3 * used.added_gb})
        usages[size] = read_json(path)
    return usages


def _from_smallest_to_largest(values: Mapping[int, float], unit: str) -> Figures:
    smallest, largest = min(values), max(values)
    told = ", ".join(f"{size:,}: {value:.1f}" for size, value in values.items())
    note = (
        f"{unit} by number of episodes: {told}. Only `generate` simulates every one of them; the "
        "others work on a few simulated ones, repeated."
    )
    return Figures(values[largest], values[smallest], note)


ROWS = tuple(
    row
    for name, work in WORK.items()
    for row in (
        Row(
            f"growth of cost, {name}",
            "at the smallest size",
            f"ms/{work.unit}",
            (at_most(COST_GROWTH),),
            partial(growth_of_cost, name=name),
        ),
        Row(
            f"growth of memory, {name}",
            "at the smallest size",
            "MB",
            (at_most(MEMORY_GROWTH, allowance=ALLOWED_MB),),
            partial(growth_of_memory, name=name),
        ),
    )
)
