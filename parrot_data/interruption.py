"""Signals that ask to end (Ctrl-C, TERM, a hang-up), held back until work can be left."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(KeyboardInterrupt):
    """Raised where a held-back signal let its work be left; `args` are the signal and a place.

    Attributes:
        signum: number of the signal.
        where: what has been saved, such as "step 2,400 of 20,000"; "" if that is not known.
    """

    def __init__(self, signum: int, where: str = "") -> None:
        super().__init__(signum, where)
        self.signum, self.where = signum, where


class HeldBack:
    """What has arrived since signals are held back; true once one has."""

    def __init__(self) -> None:
        self._signum: int | None = None

    def __bool__(self) -> bool:
        return self._signum is not None

    def release(self, where: str = "") -> None:
        """Let work be left here, if a signal asks for it.

        Args:
            where: see `Interrupted`.

        Raises:
            Interrupted: a signal has arrived.
        """
        if self._signum is not None:
            signum, self._signum = self._signum, None
            raise Interrupted(signum, where)

    def _note(self, signum: int, _frame: FrameType | None) -> None:
        if self._signum is not None:  # asked twice: whoever asks will not wait for the next step
            raise Interrupted(signum)
        self._signum = signum


@contextmanager
def held_back() -> Iterator[HeldBack]:
    """Hold back signals that would end this process, until `release` or the end of the block.

    A second signal is not held back. What this process ignores it goes on to ignore (`nohup`), and
    outside the main thread, which no signal reaches, nothing is held back.

    Raises:
        Interrupted: at the end of the block, where a signal has arrived and was not released.
    """
    arrived = HeldBack()
    before = {}
    if threading.current_thread() is threading.main_thread():
        heeded = [s for s in ENDING if signal.getsignal(s) not in (signal.SIG_IGN, None)]
        before = {signum: signal.signal(signum, arrived._note) for signum in heeded}
    try:
        yield arrived
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
    arrived.release()
