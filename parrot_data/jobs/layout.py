"""Where folders of a job lie from each other, so that on a node they lie alike.

A run's config.json says where its prior lies, seen from the run. So that a node writes what this
machine would, all folders of a job are laid out there as here, below one folder of the node's.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from parrot_data.jobs.job import Job


@dataclass(frozen=True)
class Layout:
    """Places of a job's folders, relative to the nearest folder above all of them.

    Attributes:
        called_in: where the command is called.
        out: what it writes.
        inputs: what it reads, by option.
    """

    called_in: str
    out: str
    inputs: dict[str, str]


def layout_of(job: Job, called_in: Path) -> Layout:
    """How a job's folders lie; links count as folders, unless its output lies behind one."""
    # As `finetune` looks at its own folders
    behind_link = os.path.realpath(job.out) != os.path.abspath(job.out)  # noqa: PTH100
    seen = os.path.realpath if behind_link else os.path.abspath

    def place(path: Path) -> str:
        return os.path.relpath(seen(path), above)

    above = _above(map(seen, (called_in, job.out, *job.inputs.values())))
    inputs = {option: place(path) for option, path in job.inputs.items()}
    return Layout(place(called_in), place(job.out), inputs)


def _above(paths: Iterable[str]) -> str:
    return os.path.commonpath(list(paths))
