"""A lock on unfinished work: one process at a time, and none once that has died."""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from parrot_data.errors import UserError

LOCK = ".parrot.lock"  # in the work folder; it tells the program's own from a user's, too
_UNKNOWN = {errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP}

_log = logging.getLogger(__name__)


@contextmanager
def locked(folder: Path, stage: str) -> Iterator[Callable[[], bool]]:
    """Hold a folder, created if need be; the system lets go of it when this process ends.

    Args:
        folder: of unfinished work.
        stage: that works there, for whoever finds it locked.

    Yields:
        Whether this process still holds the folder of that name, to be asked at any time.

    Raises:
        UserError: another process holds it; the sentence says which.
    """
    descriptor = _lock(folder / LOCK)
    try:
        holder = {"stage": stage, "pid": os.getpid(), "host": socket.gethostname()}
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, json.dumps(holder).encode(), 0)
        yield lambda: _lies_there(folder / LOCK, descriptor)
    finally:
        os.close(descriptor)


def _lock(path: Path) -> int:
    while True:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except FileNotFoundError:  # its last holder has just removed the folder
            continue
        is_taken = False
        try:
            is_taken = _is_taken(path, descriptor)
        finally:
            if not is_taken:
                os.close(descriptor)
        if is_taken:
            return descriptor


def _is_taken(path: Path, descriptor: int) -> bool:
    """Whether the lock was taken, and still lies where others look for it."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UserError(
            f"{path.parent} is being worked on by {_holder(descriptor)}: wait for it, or name "
            "another folder."
        ) from None
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        _log.warning("the disk of %s has no locks: give no command twice at once", path.parent)
    return _lies_there(path, descriptor)


def _lies_there(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _holder(descriptor: int) -> str:
    try:
        value = json.loads(os.pread(descriptor, 1000, 0))
        return f"`parrot {value['stage']}`, process {value['pid']} on {value['host']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "another process"
