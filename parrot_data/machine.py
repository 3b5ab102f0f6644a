"""What this process may use of the machine: fewer cores and less memory in a container."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

from parrot_data.errors import UserError

CGROUPS = Path("/sys/fs/cgroup")
OWN_GROUPS = Path("/proc/self/cgroup")


def available_cores(cgroups: Path = CGROUPS, own_groups: Path = OWN_GROUPS) -> int:
    """Cores that this process may use: taskset and a container's CPU quota count.

    Args:
        cgroups: where control groups are mounted, those of version 2 or the controllers of 1.
        own_groups: says in which of them this process is.
    """
    pinned = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    quotas = [_quota_of(folder) for folder in _groups(cgroups, own_groups, "cpu")]
    return max(1, math.floor(min([float(pinned or 1), *quotas])))


def available_memory(cgroups: Path = CGROUPS, own_groups: Path = OWN_GROUPS) -> int:
    """Bytes of memory that this process may ever use: the machine's, or a container's limit."""
    limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    for folder in _groups(cgroups, own_groups, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            words = _words_of(folder / name)
            limits += [int(words[0])] if words and words[0].isdecimal() else []
    return min(limits)


def check_memory(key: str, value: object, num_bytes: int, available: int | None = None) -> None:
    """See that what a value of params.yaml asks for would fit into memory.

    Args:
        key: its dotted name.
        value: what it is.
        num_bytes: that it takes at least.
        available: bytes that there are; this machine's by default.

    Raises:
        UserError: there is less.
    """
    there_are = available_memory() if available is None else available
    if num_bytes > there_are:
        raise UserError(
            f"{key} of {value} needs at least {num_bytes:,} bytes of memory, and {there_are:,} are "
            "there: lower it"
        )


def _groups(cgroups: Path, own_groups: Path, controller: str) -> Iterator[Path]:
    """Folders of the groups that this process is in, each with all groups above it."""
    try:
        lines = own_groups.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        lines = []
    for root in (cgroups, cgroups / controller):
        yield root  # In a container it is often the group itself that is mounted here
        for line in lines:
            _, controllers, path = line.split(":", 2) if line.count(":") >= 2 else ("", "", "")
            if controllers and controller not in controllers.split(","):
                continue
            parts = [part for part in path.split("/") if part not in ("", "..")]
            yield from (root.joinpath(*parts[:depth]) for depth in range(1, len(parts) + 1))


def _quota_of(folder: Path) -> float:
    """Cores that a group's quota comes to, infinite where it has none."""
    both = _words_of(folder / "cpu.max")  # version 2: "quota period" or "max period"
    if not both:
        both = [*_words_of(folder / "cpu.cfs_quota_us"), *_words_of(folder / "cpu.cfs_period_us")]
    if len(both) != 2 or not all(word.isdecimal() for word in both) or "0" in both:
        return math.inf  # version 1 writes -1 for none
    return int(both[0]) / int(both[1])


def _words_of(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError):
        return []
