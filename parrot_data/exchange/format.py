"""What a format of others is to `import` and `export`: how it is read, written, and what it holds.

A file of `exchange/` a format, a line in `formats.py` each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from parrot_data.episodes.episode import Episode, forms_of
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.exchange.recording import Recording

# Of an array of an episode, what a format gives back to the last bit: all of its rows, the T that
# belong to steps (of T + 1 the last one is lost), or nothing.
Rows = Literal["all", "steps", "none"]


@dataclass(frozen=True)
class Holds:
    """What a format gives back to the last bit; images as they were, whatever encodes them.

    Actions it holds always, privileged arrays never: who reads a foreign file has no way to know
    that no policy may see them.

    Attributes:
        observations: rows of every observation.
        rewards: of them, too.
        terminated: whether each episode was ended by its environment.
        task: the task of each episode, where there are several.
        success: whether each episode was one.
    """

    observations: Literal["all", "steps"]
    rewards: bool
    terminated: bool
    task: bool
    success: bool

    def rows(self, spec: EpisodeSpec) -> dict[str, Rows]:
        """What of each array is held, by the names of `Episode.arrays`."""
        found: dict[str, Rows] = dict.fromkeys(forms_of(spec), "none")
        found["actions"] = "all"
        found["rewards"] = "all" if self.rewards else "none"
        found.update({f"observation.{name}": self.observations for name in spec.observations})
        return found


@dataclass(frozen=True)
class ExportOptions:
    """What a writer knows of the whole dataset before its first episode.

    Attributes:
        tasks: names of all tasks, sorted.
        num_steps: of all episodes together.
        control_rate_hz: actions a second, as the spec says or the command; None where unknown.
    """

    tasks: tuple[str, ...]
    num_steps: int
    control_rate_hz: float | None

    @property
    def title(self) -> str:
        """A name for the dataset: that of its one task, where it is one."""
        return self.tasks[0] if len(self.tasks) == 1 else "several-tasks"


# (episodes, spec, num_episodes, folder, options): writes into a folder that is there, empty and
# shown to nobody yet. Episodes come once, in order, and only one may be held; the same episodes
# give the same bytes. It takes of them what it holds, and asks for nothing else. Raises UserError
# where the spec, or the control rate, is none the format can say.
Write = Callable[[Iterator[Episode], EpisodeSpec, int, Path, ExportOptions], None]


@dataclass(frozen=True)
class Format:
    """A format.

    Attributes:
        name: on the command line.
        title: whose it is, for documents.
        layout: what an export is, for documents, such as "`demo.hdf5`".
        makes: names of what `write` makes directly in its folder, as patterns; never "parrot".
        files_of: of a source, the files that decide what is imported. A source is what its users
            would name, or the folder of an export.
        open_recording: of a source and the key of the success rule ("" for none), what is in it.
            Trajectories come in the order in which they were written, observations by the names
            of the spec (of one alone, any name), with the dtypes and shapes they had.
        write: see `Write`.
        holds: what `open_recording` gives back of what `write` wrote.
        says_bounds: whether it says the bounds of actions, so that nobody else is asked for them.
        remarks: of the spec of an export, sentences on what its readers should know.
    """

    name: str
    title: str
    layout: str
    makes: tuple[str, ...]
    files_of: Callable[[Path], list[Path]]
    open_recording: Callable[[Path, str], AbstractContextManager[Recording]]
    write: Write
    holds: Holds
    says_bounds: bool
    remarks: Callable[[EpisodeSpec], list[str]] = lambda _: []
