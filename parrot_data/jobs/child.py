"""A command of `parrot` in a process of its own, that says on stderr how far it is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from time import monotonic

from parrot_data.jobs.job import PROGRAM
from parrot_data.jobs.lifeline import GRACE_S

ROOT = Path(__file__).resolve().parents[2]  # where our packages lie
_ERROR, _NOTE = "error: ", "note: "


class Child:
    """A command that runs; it ends with this process, and by `stop`.

    Args:
        arguments: of `parrot`.
        folder: to be called in.
        threads: of its libraries.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, threads: int) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(paths),
            "OMP_NUM_THREADS": str(threads),
        }
        self._lines: deque[str] = deque(maxlen=20)
        self._process = subprocess.Popen(
            [sys.executable, *PROGRAM, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.PIPE,  # see `lifeline`
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is answered by us, and once
        )

    def follow(self, tell: Callable[[str], None], note: Callable[[str], None]) -> str:
        """Wait for its end.

        Args:
            tell: called with what it says of its progress.
            note: called with what else it says that a reader should know.

        Returns:
            Why it failed, in one sentence; "" where it did not.
        """
        assert self._process.stderr is not None
        with self._process.stderr as said:
            for text in said:
                line = text.rstrip()
                self._lines.append(line)
                if line.startswith(_NOTE):
                    note(line.removeprefix(_NOTE))
                elif line:
                    tell(line)
        status = self._process.wait()
        self._let_go()
        return self._error(status)

    def ask_to_end(self) -> None:
        """Have it save what it can, and end."""
        with suppress(OSError):
            self._process.send_signal(signal.SIGTERM)

    def make_end(self, seconds: float = 0.0) -> None:
        """End it, if it has not ended by itself in so many seconds."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)
        self._process.kill()
        self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()

    def _error(self, status: int) -> str:
        if not status:
            return ""
        told = [line for line in self._lines if line.startswith(_ERROR)]
        if told:
            return told[-1].removeprefix(_ERROR)
        if status < 0:
            return (
                f"it was killed ({signal.Signals(-status).name}; KILL often means that memory ran "
                "out): give the same command again, perhaps with fewer at once"
            )
        last = next((line for line in reversed(self._lines) if line), "it said nothing")
        return f"it ended with status {status} ({last}): call it alone to see all it says"


def stop(children: Iterable[Child]) -> None:
    """End commands, those that learn once they have saved what they learned."""
    children = list(children)
    try:
        for child in children:
            child.ask_to_end()
        deadline = monotonic() + GRACE_S
        for child in children:
            child.make_end(max(0.0, deadline - monotonic()))
    finally:  # a second Ctrl-C
        for child in children:
            child.make_end()
