"""Progress of a stage on a terminal (a bar) and in a log (a line now and then)."""

from __future__ import annotations

import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from cli.console import print_if_read

Progress = Callable[[int, int, str], None]

RATE_WINDOW_S = 60.0
SECONDS_BETWEEN_LINES = 10.0
_LINE = re.compile(r"\S+ (\d+)/(\d+)(?:,|$)")


class Rate:
    """Speed over the last minute, of this run's own work.

    What the first call reports as done was there before (a resumed stage) and never counts; when
    the count falls or the total changes, a new phase has begun and the measurement starts anew.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._seen: deque[tuple[float, int]] = deque()
        self._total = 0

    def update(self, done: int, total: int) -> None:
        """Take note that `done` of `total` are finished now."""
        if self._seen and (done < self._seen[-1][1] or total != self._total):
            self._seen.clear()
        self._total = total
        now = self._clock()
        self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] >= RATE_WINDOW_S:
            self._seen.popleft()

    @property
    def per_second(self) -> float | None:
        """Units a second, None before anything can be said."""
        if len(self._seen) < 2:
            return None
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start and last > first else None

    def __str__(self) -> str:
        """For example `12.5/s, 0:01:40 left`."""
        speed = self.per_second
        if speed is None:
            return ""
        pace = f"{speed:,.1f}/s" if speed >= 1 else f"{1 / speed:,.1f} s each"
        left_s = round((self._total - self._seen[-1][1]) / speed)
        return f"{pace}, {left_s // 3600}:{left_s // 60 % 60:02}:{left_s % 60:02} left"


@contextmanager
def show_progress(title: str) -> Iterator[Progress]:
    """Give a listener for a stage to call; leave the terminal as it was, Ctrl-C included."""
    if sys.stderr.isatty():
        with _bar(title) as listener:
            yield listener
    else:
        yield _lines(title)


@contextmanager
def _bar(title: str) -> Iterator[Progress]:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
    from rich.progress import Progress as Bars

    rate = Rate()
    columns = (
        TextColumn(title),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]}"),
        TextColumn("[dim]{task.fields[note]}"),
    )
    bars = Bars(*columns, console=Console(stderr=True))
    task = bars.add_task("", total=None, rate="", note="")

    def listen(done: int, total: int, note: str) -> None:
        rate.update(done, total)
        with suppress(OSError):
            bars.update(task, completed=done, total=total, rate=str(rate), note=note)

    with suppress(OSError):  # the terminal may be gone, now or in the end: the work is not
        bars.start()
    try:
        yield listen
    finally:
        with suppress(OSError):
            bars.stop()


def share_of(line: str) -> float:
    """How much of its work a stage has done that says this in a log, from 0 to 1."""
    told = _LINE.match(line)
    return min(1.0, int(told[1]) / int(told[2])) if told and int(told[2]) else 0.0


def _lines(title: str) -> Progress:
    rate = Rate()
    last_line_s: float | None = None

    def listen(done: int, total: int, note: str) -> None:
        nonlocal last_line_s
        rate.update(done, total)
        now = time.monotonic()
        is_due = last_line_s is None or now - last_line_s >= SECONDS_BETWEEN_LINES
        if is_due or done == total:
            last_line_s = now
            parts = [f"{title} {done}/{total}", str(rate), note]
            print_if_read(", ".join(part for part in parts if part), is_error=True)

    return listen
