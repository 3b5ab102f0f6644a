"""The tie between a command and whoever started it: neither leaves the other behind.

Its standard input is a pipe that the caller only holds. That it ends means that the caller has, in
whatever way, by SIGKILL too; the command is then asked to end as Ctrl-C would, and made to.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

GRACE_S = 20.0  # to save what was learned


def end_with_caller() -> None:
    """In a command of `Child`: end as soon as the process that started it does."""
    threading.Thread(target=_watch, daemon=True).start()


def _watch() -> None:
    descriptor = sys.__stdin__.fileno() if sys.__stdin__ else 0
    while os.read(descriptor, 1 << 10):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(1)
