"""Where attacks take place: a clean result of every stage, and rooms that start from them."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import yaml

from benchmarks.torture.commands import NOTHING, Done, Running
from benchmarks.torture.stages import RUN, Stage, made_tiny
from parrot_data.errors import UserError
from parrot_data.progress import Progress
from parrot_data.stores.publish import sha256_file

SECONDS_BETWEEN_LOOKS = 0.002
PARAMS = "params.yaml"
# Several strikes miss a stage that is over at once; each of them aims earlier.
STRIKES, EARLIER = 6, 0.6


class MissedError(Exception):
    """An attack that did not come about: it says nothing, and is not counted."""


@dataclass(frozen=True)
class Timing:
    """How long a stage took without disturbance, s: before its work could be seen, and after."""

    before_s: float
    work_s: float


class Room:
    """A folder with params.yaml and a stage's inputs, in which commands run and are attacked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._started: list[Running] = []

    def start(
        self,
        *arguments: str,
        environment: Mapping[str, str] = NOTHING,
        redirection: str = "",
        before: Callable[[], None] | None = None,
    ) -> Running:
        """Start `parrot` with some arguments."""
        running = Running(arguments, self.folder, environment, redirection, before)
        self._started.append(running)
        return running

    def call(self, *arguments: str, environment: Mapping[str, str] = NOTHING) -> Done:
        """Run `parrot` with some arguments to its end."""
        return self.start(*arguments, environment=environment).finish()

    def clear(self) -> None:
        """End every process that was started here."""
        for running in self._started:
            running.close()


class Ground:
    """The clean results, made once, that every attack starts from and is compared with."""

    def __init__(self, scratch: Path, params: Mapping[str, Any], stages: Sequence[Stage]) -> None:
        self.scratch = scratch
        self.stages = tuple(stages)
        self.clean = Room(scratch / "clean")
        self.evaluated = ""
        self._timings: dict[str, Timing] = {}
        self.clean.folder.mkdir()
        text = yaml.safe_dump(made_tiny(params))
        (self.clean.folder / PARAMS).write_text(text, encoding="utf-8")

    def prepare(self, progress: Progress) -> None:
        """Run every stage undisturbed, and time it.

        Raises:
            UserError: a stage fails though nobody attacks it.
        """
        try:
            self._run_all(progress)
        finally:
            self.clean.clear()

    def _run_all(self, progress: Progress) -> None:
        for done, stage in enumerate(self.stages):
            progress(done, len(self.stages), f"undisturbed: {stage.name}")
            start = time.monotonic()
            running = self.clean.start(*stage.line())
            wait_for_work(running, self.clean.folder / stage.out)
            begun = time.monotonic()
            _must_be_right(running.finish(), stage.name)
            end = time.monotonic()
            self._timings[stage.name] = Timing(begun - start, end - begun)
        if (self.clean.folder / RUN).exists():
            with self.room(*self.outs) as room:  # not here: it writes into the run
                done_evaluating = room.call("evaluate", RUN)
                _must_be_right(done_evaluating, "evaluate")
                self.evaluated = done_evaluating.out

    @property
    def outs(self) -> tuple[str, ...]:
        """The folders that are there to start from."""
        return tuple(stage.out for stage in self.stages)

    @contextmanager
    def room(
        self,
        *inputs: str,
        disk: Callable[[Path], AbstractContextManager[object]] = nullcontext,
    ) -> Iterator[Room]:
        """A room of its own with copies of some clean outputs, gone afterwards.

        Args:
            inputs: folders, as the stages name them.
            disk: entered with the folder before anything lies in it, to mount a disk there.
        """
        # In a folder of its own: `..` and what is written beside the room stay inside it.
        outer = Path(tempfile.mkdtemp(dir=self.scratch))
        room = Room(outer / "room")
        room.folder.mkdir()
        try:
            with disk(room.folder):
                shutil.copy(self.clean.folder / PARAMS, room.folder)
                for name in inputs:
                    self.lay(name, room.folder / name)
                try:
                    yield room
                finally:
                    room.clear()
        finally:
            shutil.rmtree(outer, ignore_errors=True)

    def lay(self, name: str, place: Path) -> None:
        """Copy a clean output to some place."""
        shutil.copytree(self.clean.folder / name, place, dirs_exist_ok=True)

    def digests(self, name: str) -> dict[str, str]:
        """Hashes of a clean output's files."""
        return digests_of(self.clean.folder / name)

    def strike(
        self,
        room: Room,
        stage: Stage,
        random: Random,
        blow: Callable[[Running], None],
        *,
        anywhere: bool = False,
    ) -> Running:
        """Start a stage and hit it at a random moment of its work.

        Args:
            room: where.
            stage: what to start.
            random: source of the moment.
            blow: what to do to it.
            anywhere: whether the moment may lie before its work, among its imports.

        Returns:
            The command that was hit.

        Raises:
            MissedError: it was over before, in every attempt.
        """
        timing = self._timings[stage.name]
        span_s = timing.work_s + (timing.before_s if anywhere else 0.0)
        for attempt in range(STRIKES):
            running = room.start(*stage.line())
            if not anywhere:
                wait_for_work(running, room.folder / stage.out)
            time.sleep(random.uniform(0, span_s) * EARLIER**attempt)
            if running.is_alive:
                blow(running)
                return running
            running.finish()
        raise MissedError(f"{stage.name} was over before it could be hit, {STRIKES} times")


def wait_for_work(running: Running, out: Path) -> None:
    """Wait until a command has begun its unfinished work, or is over."""
    while running.is_alive and not unfinished(out).is_dir():
        time.sleep(SECONDS_BETWEEN_LOOKS)


def unfinished(out: Path) -> Path:
    """Where the unfinished work of an output lies, if there is any."""
    return out.with_name(f"{out.name}.partial")


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 of every file below a folder, by its relative name; links are not followed."""
    return {
        str(path.relative_to(folder)): sha256_file(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


def _must_be_right(done: Done, name: str) -> None:
    if done.code != 0:
        raise UserError(f"{name} fails though nothing disturbs it ({done}): mend that first")
