"""The one exception that means: the user can mend this."""

from __future__ import annotations

import errno
import os
import traceback
from pathlib import Path

_REMEDIES = {
    errno.ENOSPC: "make room on that disk",
    errno.EDQUOT: "make room within your quota",
    errno.EFBIG: "raise the limit on the size of a file (`ulimit -f`)",
    errno.EACCES: "get the right to it, or name another place",
    errno.EPERM: "get the right to it, or name another place",
    errno.EROFS: "name a place that can be written to",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "check the name",
    errno.EISDIR: "name a file",
}


class UserError(Exception):
    """A mistake of the user's, said in one sentence: what, where, what to do.

    The command line prints it as it stands and exits with 1, without a traceback. Anything else
    that escapes is a defect of ours and keeps its traceback.
    """


def told(error: OSError, where: str | os.PathLike[str] = "") -> UserError:
    """What the operating system refused, as a sentence with path and cause.

    Args:
        error: of the system.
        where: the place, should the error not name it: a full disk is noticed by whoever writes.
    """
    named = [
        os.fsdecode(n) for n in (error.filename, error.filename2) if isinstance(n, str | bytes)
    ]
    place = " -> ".join(named) or os.fspath(where)
    cause = error.strerror or str(error) or type(error).__name__
    remedy = _REMEDIES.get(error.errno or 0, "see to it")
    return UserError(
        f"{place}{': ' if place else ''}{cause}; {remedy}, then give the same command again."
    )


def cause(error: Exception) -> str:
    """What an exception of somebody else's code says, and where it was raised, in a few words."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = str(error).splitlines()
    said = f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__
    return f"{said}, {Path(frames[-1].filename).name} line {frames[-1].lineno}" if frames else said
