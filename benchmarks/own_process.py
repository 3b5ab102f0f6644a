"""Work in a process of its own, to see what it takes in memory."""

from __future__ import annotations

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

# What measured work imports, loaded once: its processes are copies of one that did only that
IMPORTED = ("benchmarks.growth_rows", "benchmarks.entries_rows", "benchmarks.finetune_rows")
STATUS = Path("/proc/self/status")
SECONDS_BETWEEN_LOOKS = 0.01


@dataclass(frozen=True)
class Usage:
    """What a piece of work took.

    Attributes:
        peak_gb: most memory it ever held, files mapped into it included.
        added_gb: most that the work added to what the imports took, without mapped files, which
            the kernel drops when it needs room.
        result: what the work returned.
    """

    peak_gb: float
    added_gb: float
    result: Any


def in_own_process(work: Callable[..., Any], *arguments: Any) -> Usage:
    """Call a picklable function in a fresh process, with one thread of torch."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        return pool.submit(_measured, work, *arguments).result()


def _measured(work: Callable[..., Any], *arguments: Any) -> Usage:
    torch.set_num_threads(1)
    ended = threading.Event()
    seen: list[float] = []

    def watch() -> None:
        while not ended.wait(SECONDS_BETWEEN_LOOKS):
            seen.append(_gigabytes("RssAnon"))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    before_gb = _gigabytes("RssAnon")
    result = work(*arguments)
    ended.set()
    watcher.join()
    added_gb = max([*seen, _gigabytes("RssAnon")]) - before_gb
    return Usage(_gigabytes("VmHWM"), added_gb, result)


def _gigabytes(key: str) -> float:
    """A line of the kernel's account of this process, GB.

    Not `resource.getrusage`: its peak begins at what the parent held.
    """
    for line in STATUS.read_text(encoding="ascii").splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0]) * 1024 / 1e9
    raise RuntimeError(f"{STATUS} does not tell {key}: memory can be measured on Linux alone")
