"""The real `parrot` in processes of its own, and what may be said of how one ended."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import IO

from parrot_data.errors import UserError

LONGEST_S = 120.0  # no command of tiny values takes a tenth of it on cores of its own
PROGRESS = re.compile(r"[a-z-]+ \d+/\d+")  # its pace differs from machine to machine
ROOT = Path(__file__).parents[2]
NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class Done:
    """How a command ended.

    Attributes:
        code: its exit status, -N where signal N ended it, None where it had to be stopped.
        out, err: what it wrote.
    """

    code: int | None
    out: str
    err: str

    @property
    def sentences(self) -> list[str]:
        """What it said went wrong."""
        lines = self.err.splitlines()
        return [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]

    def __str__(self) -> str:
        """For the list of what failed: the status and the end of what it said."""
        state = f"still running after {LONGEST_S:.0f} s" if self.code is None else str(self.code)
        lines = [line for line in self.err.splitlines() if line and not PROGRESS.match(line)]
        return f"exit {state}, {lines[-1][:200] if lines else 'not a word'}"


class Running:
    """A command at work, the leader of a process group of its own."""

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str] = NOTHING,
        redirection: str = "",
        before: Callable[[], None] | None = None,
    ) -> None:
        """Start it.

        Args:
            arguments: what follows `parrot`.
            folder: where to run it.
            environment: variables to change.
            redirection: in the spelling of sh, such as `2>&-`.
            before: called in the process before the command.
        """
        # Files, not pipes: a worker that outlives its leader would hold a pipe open.
        self._out: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        self._err: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115
        command = [str(_parrot()), *arguments]
        if redirection:
            run = '"$@"' if "|" in redirection else 'exec "$@"'
            command = ["sh", "-c", f"{run} {redirection}", "sh", *command]
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=_environment() | dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._err,
            start_new_session=True,
            preexec_fn=before,  # noqa: PLW1509 (it sets a limit, and takes no lock)
        )

    @property
    def is_alive(self) -> bool:
        """Whether the command itself still runs."""
        return self.process.poll() is None

    def send(self, number: signal.Signals, *, to_group: bool) -> None:
        """Send a signal to the command alone, or to its workers too, as a terminal does."""
        with suppress(ProcessLookupError):
            if to_group:
                os.killpg(self.process.pid, number)
            else:
                self.process.send_signal(number)

    def finish(self) -> Done:
        """Wait for its end, and stop it if that does not come."""
        code: int | None = None
        try:
            code = self.process.wait(LONGEST_S)
        except subprocess.TimeoutExpired:
            self.clear()
        return Done(code, _text(self._out), _text(self._err))

    def clear(self) -> None:
        """End what is left of it, workers without their leader included."""
        self.send(signal.SIGKILL, to_group=True)
        self.process.wait()

    def close(self) -> None:
        """End what is left of it, and forget what it said."""
        self.clear()
        self._out.close()
        self._err.close()


def _parrot() -> Path:
    path = Path(sys.executable).with_name("parrot")
    if not path.exists():
        raise UserError(f"{path} is missing: install the project with `make install`")
    return path


def _environment() -> dict[str, str]:
    """This process's, with this checkout's code and a thread: more would change the last bits."""
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
    return {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "COLUMNS": "200"}


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")
