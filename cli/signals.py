"""What a signal that asks to end does to a command: it is left, with one sentence."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def heeded() -> Iterator[None]:
    """Have TERM and a hang-up raise KeyboardInterrupt as Ctrl-C does, the signal its argument.

    What this process was told to ignore it goes on to ignore: `nohup` means what it says.
    """
    replaced = [s for s in _ENDING if signal.getsignal(s) not in (signal.SIG_IGN, None)]
    before = {signum: signal.signal(signum, _raise) for signum in replaced}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def sentence_of(interrupt: KeyboardInterrupt) -> str:
    """What to say of an interrupt: where work goes on, where it says so itself."""
    where = interrupt.args[1] if len(interrupt.args) > 1 else ""
    if where:
        return f"interrupted at {where}: the same command goes on from there"
    return "interrupted: what was finished is kept, and the same command goes on from it"


def exit_code_of(interrupt: KeyboardInterrupt) -> int:
    """The conventional exit code: 130 for Ctrl-C, 143 for TERM, 129 for a hang-up."""
    return 128 + int(interrupt.args[0] if interrupt.args else signal.SIGINT)


def _raise(signum: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt(signum)
