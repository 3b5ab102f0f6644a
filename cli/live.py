"""What a training measures, as TensorBoard shows it while it trains: event files of our own.

They are no output of a stage: whatever happens to them, the training and its result stay the same.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from cli.console import print_if_read
from cli.progress import Rate
from parrot_data.progress import Scalars, unheard

PREFIX, SUFFIX = "events.out.tfevents.", ".parrot"  # TensorBoard looks for the first


@contextmanager
def live_curves(logs: str, out: Path) -> Iterator[Scalars]:
    """Give a listener for a stage that trains to call; its event files lie under `logs`.

    A phase of a training is a run of TensorBoard, named after the output and the phase. One that
    is gone on with goes on there, and one that is begun afresh gets a number and stands beside it,
    such as `models/prior/flow-2`.

    Args:
        logs: folder; none where empty.
        out: output of the stage.

    Raises:
        UserError: the folder is, or lies in, the output, where only a stage's own may lie.
    """
    if not logs:
        yield unheard
        return
    _check_apart(logs, out)
    curves = _Curves(Path(logs) / place_of(out))
    try:
        yield curves.tell
    finally:
        curves.close()


def place_of(out: Path) -> Path:
    """A path without root or `..` for an output: as seen from here if it lies below, else whole."""
    whole = Path(os.path.abspath(out))  # noqa: PTH100 - links stay as they are
    here = Path.cwd()
    return whole.relative_to(here if whole.is_relative_to(here) else whole.anchor)


def _check_apart(logs: str, out: Path) -> None:
    from parrot_data.errors import UserError

    of_logs, of_out = (Path(os.path.realpath(path)) for path in (logs, out))
    if of_logs == of_out or of_out in of_logs.parents:
        raise UserError(
            f"the logs in {logs} would lie in the output {out}: name another folder with --logs"
        )


class _Curves:
    """A training's curves, an event file a phase; given up, with one sentence, at the first error.

    Args:
        folder: of the training's phases.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number: int | None = None  # of this training among those of the folder
        self._phase, self._begins_at = "", 0
        self._file: _EventFile | None = None
        self._rate = Rate()
        self._is_given_up = False

    def tell(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        """Take note of what a stage measured; see `Scalars`."""
        if self._is_given_up:
            return
        try:
            self._tell(phase, step, values)
        except OSError as error:
            self._is_given_up = True
            self.close()
            print_if_read(
                f"warning: live curves cannot be written to {self._folder} "
                f"({error.strerror or error}): the training goes on without them",
                is_error=True,
            )

    def close(self) -> None:
        """End the file that is written."""
        if self._file is not None:
            with suppress(OSError):  # every value is written, or its error was told
                self._file.close()
            self._file = None

    def _tell(self, phase: str, step: int, values: Mapping[str, float]) -> None:
        if phase != self._phase:
            self.close()
            self._phase, self._begins_at, self._rate = phase, step, Rate()
            self._number = self._number or self._number_for(step)
        self._rate.update(step, 0)
        if not values:
            return
        if self._file is None:
            name = phase if self._number == 1 else f"{phase}-{self._number}"
            self._file = _EventFile(self._folder / name, self._begins_at)
        speed = self._rate.per_second
        told = {**values, **({} if speed is None else {"steps_per_second": speed})}
        self._file.add(step, {f"{phase}/{name}": value for name, value in told.items()})

    def _number_for(self, step: int) -> int:
        """That of the last training if it is gone on with, else the next one."""
        found = self._folder.glob(f"*/{PREFIX}*{SUFFIX}")
        numbers = [re.search(r"-(\d+)$", path.parent.name) for path in found]
        last = max((int(number[1]) if number else 1 for number in numbers), default=0)
        return max(last, 1) if step > 0 else last + 1


class _EventFile:
    """An event file, every value in it as soon as it is added.

    TensorBoard's own writers write from a thread, which prints a traceback where the disk is full.

    Args:
        folder: where; it is made.
        begins_at: what other files there have of later steps is void.

    Raises:
        OSError: it cannot be written, here or in `add`.
    """

    def __init__(self, folder: Path, begins_at: int) -> None:
        # Here, as a command must start fast
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.record_writer import RecordWriter

        folder.mkdir(parents=True, exist_ok=True)
        # They are read in the order of their names.
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)
        path = folder / f"{PREFIX}{seconds:010}.{nanoseconds:09}{SUFFIX}"
        self._event = Event
        # Without a buffer, of which something could be left that a full disk does not take
        self._records = RecordWriter(path.open("xb", buffering=0))
        try:
            self._write(file_version="brain.Event:2")
            self._write(step=begins_at + 1, session_log=SessionLog(status=SessionLog.START))
        except OSError:
            self.close()
            raise

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Add values of a step, by tag."""
        from tensorboard.compat.proto.summary_pb2 import Summary

        told = [Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()]
        self._write(step=step, summary=Summary(value=told))

    def close(self) -> None:
        """Close it."""
        self._records.close()

    def _write(self, **fields: object) -> None:
        event = self._event(wall_time=time.time(), **fields)
        self._records.write(event.SerializeToString())
