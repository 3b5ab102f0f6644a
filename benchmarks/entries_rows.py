"""How cost and memory grow up to a million tiny episodes; and how large real ones are.

An episode of one step of a few numbers costs hardly more than what is said of it: what is not
linear in the number of entries, or not flat, shows here and nowhere else.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from types import MappingProxyType

from benchmarks.datasets import repeated_raw_data, sharded
from benchmarks.growth_rows import ALLOWED_MB, COST_GROWTH, MEMORY_GROWTH, Work, told, usages
from benchmarks.row import Figures, Row, at_most
from benchmarks.setting import Setting
from benchmarks.tiny_data import (
    LAYOUT,
    gathered,
    tiny_blocks,
    tiny_changed_shards,
    tiny_kept,
    tiny_raw_data,
    tiny_shards,
)
from parrot_data.diff import diff
from parrot_data.filter import FilterParams, filter_episodes
from parrot_data.shard import shard
from parrot_data.stores.manifest import Manifest, load_any_manifest
from parrot_data.stores.publish import json_text
from parrot_data.stores.verify import verify

WARM_UP_EPISODES = 40
LEAST_S = 1.0


def do_gather(setting: Setting, num_episodes: int) -> None:
    """Make a dataset of finished blocks, and count its successes, as `generate` does in the end."""
    folder = tiny_blocks(setting, num_episodes)
    manifest = gathered(folder, num_episodes)
    sum(entry.success for entry in manifest.entries(folder))


def do_filter(setting: Setting, num_episodes: int) -> None:
    """Decide on every episode."""
    out = _cleared(setting, "tiny-filter")
    everything = FilterParams(tasks=[], max_episodes_per_task=0, max_episodes=0)
    filter_episodes(everything, tiny_raw_data(setting, num_episodes), out)


def do_shard(setting: Setting, num_episodes: int) -> None:
    """Hold the decision against the entries, and write both stores."""
    out = _cleared(setting, "tiny-shard")
    shard(LAYOUT, tiny_raw_data(setting, num_episodes), tiny_kept(setting, num_episodes), out)
    shutil.rmtree(out)


def do_verify(setting: Setting, num_episodes: int) -> None:
    """Check every byte of both stores."""
    verify(tiny_shards(setting, num_episodes))


def do_diff(setting: Setting, num_episodes: int) -> None:
    """Compare shards with such in which a twentieth of the episodes are others."""
    shards = tiny_shards(setting, num_episodes)
    found = diff(shards, tiny_changed_shards(setting, num_episodes)).episodes
    if not 0 < sum(1 for _ in found.changed) == len(found.changed):
        raise RuntimeError("nothing was found to differ")


def _cleared(setting: Setting, name: str) -> Path:
    out = setting.scratch / name
    shutil.rmtree(out, ignore_errors=True)
    return out


def _seconds_each(
    setting: Setting, num_episodes: int, *, do: Callable[[Setting, int], None]
) -> float:
    do(setting, WARM_UP_EPISODES)  # what is imported and drawn once counts for neither size
    seconds: list[float] = []
    while sum(seconds) < LEAST_S:  # some hundredths of a second are too few to tell
        start = process_time()
        do(setting, num_episodes)
        seconds.append(process_time() - start)
    return median(seconds) / num_episodes


def _prepare(
    setting: Setting, num_episodes: int, *, make: Callable[[Setting, int], object]
) -> None:
    for size in (WARM_UP_EPISODES, num_episodes):
        make(setting, size)


def _work(make: Callable[[Setting, int], object], do: Callable[[Setting, int], None]) -> Work:
    return Work(partial(_prepare, make=make), partial(_seconds_each, do=do))


WORK: Mapping[str, Work] = MappingProxyType(
    {
        "gather": _work(tiny_blocks, do_gather),
        "filter": _work(tiny_raw_data, do_filter),
        "shard": _work(tiny_kept, do_shard),
        "verify": _work(tiny_shards, do_verify),
        "diff": _work(tiny_changed_shards, do_diff),
    }
)


def growth(setting: Setting, *, name: str, key: str, unit: str) -> Figures:
    """A figure at the largest size and at the smallest."""
    sizes = setting.scale.tiny_sizes
    used = usages(setting, f"entries, {name}", WORK[name], sizes)
    values = {size: each[key] for size, each in used.items()}
    note = f"{unit} by number of episodes: {told(values)}. Each is of one step of a few numbers."
    return Figures(values[max(sizes)], values[min(sizes)], note)


def size_of_raw(setting: Setting) -> Figures:
    """Bytes of the tars an episode."""
    folder, manifest = _real(setting)
    return _size(sum(file.size for file in manifest.files) / manifest.num_episodes, folder)


def size_of_sharded(setting: Setting) -> Figures:
    """Bytes of both stores an episode."""
    folder = sharded(setting, setting.scale.stored_sizes[0])
    manifest = load_any_manifest(folder)
    return _size(sum(file.size for file in manifest.files) / manifest.num_episodes, folder)


def size_of_entry(setting: Setting) -> Figures:
    """Bytes of a line of episodes.jsonl."""
    folder, manifest = _real(setting)
    return _size(manifest.episodes.size / manifest.num_episodes, folder)


def size_of_file(setting: Setting) -> Figures:
    """Bytes of a manifest a file that it names."""
    folder, manifest = _real(setting)
    text = json_text({"files": [file.model_dump() for file in manifest.files]})
    return _size(len(text) / len(manifest.files), folder)


def _real(setting: Setting) -> tuple[Path, Manifest]:
    folder = repeated_raw_data(setting, setting.scale.stored_sizes[0])
    return folder, load_any_manifest(folder)


def _size(num_bytes: float, folder: Path) -> Figures:
    return Figures(num_bytes, None, f"Of simulated episodes of the tabletop, in {folder.name}.")


SIZES: Mapping[str, Callable[[Setting], Figures]] = MappingProxyType(
    {
        "a raw episode": size_of_raw,
        "a sharded episode": size_of_sharded,
        "an entry": size_of_entry,
        "a file in a manifest": size_of_file,
    }
)
ROWS = (
    *(
        row
        for name in WORK
        for row in (
            Row(
                f"a million entries, cost, {name}",
                "at ten thousand",
                "ms/episode",
                (at_most(COST_GROWTH),),
                partial(growth, name=name, key="cost_ms", unit="ms"),
            ),
            Row(
                f"a million entries, memory, {name}",
                "at ten thousand",
                "MB",
                (at_most(MEMORY_GROWTH, allowance=ALLOWED_MB),),
                partial(growth, name=name, key="added_mb", unit="MB on top of the imports"),
            ),
        )
    ),
    *(Row(f"size, {name}", "", "bytes", (), measure) for name, measure in SIZES.items()),
)
