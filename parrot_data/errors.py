"""The one exception that means: the user can mend this."""

from __future__ import annotations


class UserError(Exception):
    """A mistake of the user's, said in one sentence: what, where, what to do.

    The command line prints it as it stands and exits with 1, without a traceback. Anything else
    that escapes is a defect of ours and keeps its traceback.
    """
