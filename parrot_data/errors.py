"""The one exception that means: the user can mend this."""

from __future__ import annotations

import errno
import os

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
