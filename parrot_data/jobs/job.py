"""A job: a command of `parrot` whose output folder is wanted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

# Arguments of Python with which it is `parrot`, and ends with whoever started it
PROGRAM = (
    "-P",
    "-c",
    "from parrot_data.jobs.lifeline import end_with_caller; end_with_caller(); "
    "import sys; sys.argv[0] = 'parrot'; from cli.main import app; app()",
)


@dataclass(frozen=True)
class Job:
    """A command and its folders.

    Attributes:
        name: for people, such as "pick-cup/sac/0"; no two jobs share one.
        arguments: of `parrot`, those that name no folder.
        inputs: folders that it reads, by the options that name them.
        out: the folder that it writes, its option --out.
        size: how much work it is, next to other jobs.
    """

    name: str
    arguments: tuple[str, ...]
    inputs: Mapping[str, Path]
    out: Path
    size: int = 1

    def command(self, place: Callable[[Path], Path] = lambda path: path) -> list[str]:
        """The arguments, with folders where they are placed."""
        folders = [(option, place(path)) for option, path in self.inputs.items()]
        named = [word for option, path in folders for word in (option, str(path))]
        return [*self.arguments, *named, "--out", str(place(self.out))]


class Ended(NamedTuple):
    """What became of a job.

    Attributes:
        job: it.
        error: why it failed, in one sentence; "" where it did not.
    """

    job: Job
    error: str


class Doing(NamedTuple):
    """A job that is worked on.

    Attributes:
        where: the machine, "" for this one.
        line: what the job last said of its progress.
    """

    where: str
    line: str


# Every few seconds: what is worked on, by names of jobs.
Listen = Callable[[Mapping[str, Doing]], None]
