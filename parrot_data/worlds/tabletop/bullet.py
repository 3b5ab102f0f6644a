"""PyBullet, imported without the line it prints.

Its module writes "pybullet build time: ..." to stderr from C on import, into the output of every
command and once more for every worker process. Python cannot catch that, so the file descriptor
points elsewhere for as long as the import takes. Import `bullet` from here, nowhere else.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

STDERR = 2


@contextmanager
def _silent_stderr() -> Iterator[None]:
    if sys.stderr is None:  # closed by the caller: there is nothing to redirect
        yield
        return
    sys.stderr.flush()
    kept, nowhere = os.dup(STDERR), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, STDERR)
    try:
        yield
    finally:
        os.dup2(kept, STDERR)
        os.close(kept)
        os.close(nowhere)


with _silent_stderr():
    bullet: Any = importlib.import_module("pybullet")
