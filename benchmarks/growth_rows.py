"""How cost and memory grow with a dataset: linear the one, flat the other."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import count
from pathlib import Path
from statistics import median
from time import process_time
from types import MappingProxyType

import numpy as np
from torch import Tensor

from benchmarks.datasets import (
    decoded,
    filtered,
    generation_here,
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
from parrot_data.diff import diff
from parrot_data.export import ExportParams, export
from parrot_data.generate import generate
from parrot_data.import_ import ImportParams, import_episodes
from parrot_data.merge import MergeParams, merge
from parrot_data.select import SelectParams, select
from parrot_data.split import SplitParams, split
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.verify import verify
from parrot_data.streams import generator
from parrot_models.training.augment import augmentation_of
from parrot_models.training.likelihood import negative_log_likelihood

# Linear and flat, with room for what any measurement varies by.
COST_GROWTH, MEMORY_GROWTH, ALLOWED_MB = 1.2, 1.2, 16.0
HALVES = ("first", "second")
# Of the formats of others: columns of parquet, groups of HDF5, one array of all steps
FORMATS = ("lerobot", "robomimic", "diffusion-policy")


@dataclass(frozen=True)
class Work:
    """Work on a dataset of some size.

    Attributes:
        prepare: makes what the work needs, before it is measured.
        do: the work; gives the seconds of one core that a unit of it took.
        unit: what it is divided by.
        is_simulation: whether every episode is simulated, and sizes are smaller.
    """

    prepare: Callable[[Setting, int], object]
    do: Callable[[Setting, int], float]
    unit: str = "episode"
    is_simulation: bool = False


def do_generate(setting: Setting, num_episodes: int) -> float:
    """Simulate and store."""
    params = setting.values.generate.model_copy(
        update={"num_episodes": num_episodes, "episodes_per_file": max(1, num_episodes // 4)}
    )
    out = setting.scratch / "growing-raw"
    with generation_here():
        work = partial(generate, params, setting.values.tabletop, out, workers=1)
        seconds = _seconds_each(num_episodes, work)
    shutil.rmtree(out)
    return seconds


def do_store(setting: Setting, num_episodes: int) -> float:
    """Write raw data of episodes that cost no simulation."""
    shutil.rmtree(raw_folder(setting, num_episodes), ignore_errors=True)
    return _seconds_each(num_episodes, partial(repeated_raw_data, setting, num_episodes))


def do_shard(setting: Setting, num_episodes: int) -> float:
    """Write both stores."""
    shutil.rmtree(shards_folder(setting, num_episodes), ignore_errors=True)
    return _seconds_each(num_episodes, partial(sharded, setting, num_episodes))


def do_verify(setting: Setting, num_episodes: int) -> float:
    """Check every byte of both stores."""
    return _seconds_each(num_episodes, partial(verify, sharded(setting, num_episodes)))


def do_select(setting: Setting, num_episodes: int) -> float:
    """Write all episodes as a new dataset, each held against what is said of it."""
    out = setting.scratch / "growing-selection"
    params = SelectParams(where="success and num_steps > 0")
    raw = repeated_raw_data(setting, num_episodes)
    seconds = _seconds_each(num_episodes, partial(select, params, raw, out))
    shutil.rmtree(out)
    return seconds


def do_merge(setting: Setting, num_episodes: int) -> float:
    """Write the episodes of both halves as a new dataset, none of them twice."""
    out = setting.scratch / "growing-merger"
    halves = [_halves_folder(setting, num_episodes) / name for name in HALVES]
    params = MergeParams(duplicates="refuse")
    seconds = _seconds_each(num_episodes, partial(merge, params, halves, out))
    shutil.rmtree(out)
    return seconds


def do_diff(setting: Setting, num_episodes: int) -> float:
    """Compare all episodes with half of them, arrays included."""
    raw, half = repeated_raw_data(setting, num_episodes), _halves_folder(setting, num_episodes)
    return _seconds_each(num_episodes, partial(diff, raw, half / HALVES[0]))


def do_export(setting: Setting, num_episodes: int, *, format_name: str) -> float:
    """Write all episodes in a format of others, and beside it what that cannot hold."""
    shutil.rmtree(_exported_folder(setting, num_episodes, format_name), ignore_errors=True)
    work = partial(prepare_exported, setting, num_episodes, format_name=format_name)
    return _seconds_each(num_episodes, work)


def do_import(setting: Setting, num_episodes: int, *, format_name: str) -> float:
    """Make the same episodes of that again, each held against its content hash."""
    out = setting.scratch / "growing-import"
    source = _exported_folder(setting, num_episodes, format_name)
    params = ImportParams(format=format_name, task=None, success="all", bounds=None)
    seconds = _seconds_each(num_episodes, partial(import_episodes, params, source, out))
    shutil.rmtree(out)
    return seconds


def do_train(setting: Setting, num_episodes: int) -> float:
    """Train on a dataset that is decoded and opened already: load, augment, step.

    The median step, with every page of the dataset read once before: training goes over them many
    times, while the few steps here would meet most pages of a large file for the first time, and
    would measure how much of it the kernel still held in memory.
    """
    params, num_steps = setting.values.train_prior, setting.scale.steps_of_growth
    batches, prior = decoded(setting, num_episodes), prior_in_training(setting.values)
    num_rows, number = len(batches.transitions.actions), count()
    augment = augmentation_of(params.augment, batches.spec, "train_prior", params.observation_noise)
    for start in range(0, num_rows, params.batch_size):
        stop = min(start + params.batch_size, num_rows)
        batches.transitions.gather(np.arange(start, stop))

    def loss_at_next_step() -> Tensor:
        rng = generator(params.seed, "growth: step", next(number))
        batch = augment(batches.sample(params.batch_size, rng), rng)
        return negative_log_likelihood(prior, batch, params.precision)

    step = training_step(prior.parameters(), loss_at_next_step, params.learning_rate)
    step()  # the first pays for what is made only once
    return median(_seconds_each(1, step) for _ in range(num_steps))


def _seconds_each(units: int, work: Callable[[], object]) -> float:
    start = process_time()
    work()
    return (process_time() - start) / units


def prepare_nothing(_setting: Setting, _num_episodes: int) -> None:
    """For work that begins from nothing."""


def prepare_real(setting: Setting, _num_episodes: int) -> None:
    """The few episodes that are really simulated."""
    real_successes(setting)


def prepare_raw(setting: Setting, num_episodes: int) -> None:
    """Raw data and the decision to keep all of it."""
    filtered(repeated_raw_data(setting, num_episodes))


def prepare_raw_alone(setting: Setting, num_episodes: int) -> None:
    """Raw data."""
    repeated_raw_data(setting, num_episodes)


def prepare_halves(setting: Setting, num_episodes: int) -> None:
    """Raw data in two halves, made once."""
    out = _halves_folder(setting, num_episodes)
    if not out.exists():
        params = SplitParams(shares=[0.5, 0.5], names=list(HALVES), seed=0)
        split(params, repeated_raw_data(setting, num_episodes), out)


def prepare_exported(setting: Setting, num_episodes: int, *, format_name: str) -> None:
    """All episodes in a format of others, made once."""
    out = _exported_folder(setting, num_episodes, format_name)
    if not out.exists():
        params = ExportParams(format=format_name, control_rate_hz=None)
        export(params, repeated_raw_data(setting, num_episodes), out)


def _exported_folder(setting: Setting, num_episodes: int, format_name: str) -> Path:
    return setting.scratch / f"exported-{format_name}-{num_episodes}"


def _halves_folder(setting: Setting, num_episodes: int) -> Path:
    return setting.scratch / f"halves-{num_episodes}"


WORK: Mapping[str, Work] = MappingProxyType(
    {
        "generate": Work(prepare_nothing, do_generate, is_simulation=True),
        "generate, storing alone": Work(prepare_real, do_store),
        "shard": Work(prepare_raw, do_shard),
        "verify": Work(sharded, do_verify),
        "select": Work(prepare_raw_alone, do_select),
        "merge": Work(prepare_halves, do_merge),
        "diff": Work(prepare_halves, do_diff),
        **{
            f"export to {name}": Work(prepare_raw_alone, partial(do_export, format_name=name))
            for name in FORMATS
        },
        **{
            f"import from {name}": Work(
                partial(prepare_exported, format_name=name), partial(do_import, format_name=name)
            )
            for name in FORMATS
        },
        "training step": Work(decoded, do_train, unit="step"),
    }
)


def growth_of_cost(setting: Setting, *, name: str) -> Figures:
    """Milliseconds of one core a unit of work, at the largest size and at the smallest."""
    costs = {size: used["cost_ms"] for size, used in _usages(setting, name).items()}
    note = (
        f"ms by number of episodes: {told(costs)}. Only `generate` simulates every one of them; "
        "the others work on a few simulated ones, repeated."
    )
    return Figures(costs[max(costs)], costs[min(costs)], note)


def growth_of_memory(setting: Setting, *, name: str) -> Figures:
    """Megabytes that the work took, at the largest size and at the smallest."""
    added = {size: used["added_mb"] for size, used in _usages(setting, name).items()}
    smallest, largest = min(added), max(added)
    slope_kb = 1e3 * (added[largest] - added[smallest]) / (largest - smallest)
    environment = setting.values.tabletop
    images_kb = 3e-3 * (environment.episode_steps + 1) * environment.image_size**2
    note = (
        f"MB on top of the imports by number of episodes: {told(added)}; {slope_kb:.1f} kB for "
        f"each more, whose images are {images_kb:.0f} kB. Episodes stream, and so do their entries."
    )
    return Figures(added[largest], added[smallest], note)


def _usages(setting: Setting, name: str) -> dict[int, dict[str, float]]:
    work, scale = WORK[name], setting.scale
    sizes = scale.simulated_sizes if work.is_simulation else scale.stored_sizes
    return usages(setting, name, work, sizes)


def usages(
    setting: Setting, name: str, work: Work, sizes: Sequence[int]
) -> dict[int, dict[str, float]]:
    """What work took, `cost_ms` a unit and `added_mb`, by size.

    Each is measured in a process of its own and only once for all rows.
    """
    found = {}
    for size in sizes:
        path = setting.scratch / f"usage-{name}-{size}.json"
        if not path.exists():
            work.prepare(setting, size)
            used = in_own_process(work.do, setting, size)
            write_json(path, {"cost_ms": 1e3 * used.result, "added_mb": 1e3 * used.added_gb})
        found[size] = read_json(path)
    return found


def told(values: Mapping[int, float]) -> str:
    """Figures by size."""
    return ", ".join(f"{size:,}: {value:.3g}" for size, value in values.items())


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
