"""What must be the same on every node for the bytes to be: code, interpreter and libraries."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from functools import cache

from parrot_data.errors import UserError
from parrot_data.stores.sources import code_of

_SHA256_DIGITS = 64


class NodeDiffersError(UserError):
    """A node would not make the same bytes: nothing more is to be worked on, anywhere.

    Args:
        node: its address.
        what: that differs.
    """

    def __init__(self, node: str, what: str) -> None:
        super().__init__(
            f"node {node} would not make the same bytes: {what}: install the same Parrot and the "
            "same packages there (constraints.txt), and start its Ray again"
        )


@cache  # it reads every source, and what hundreds of packages installed: once a process is enough
def what_runs_here(module: str) -> Mapping[str, str]:
    """By name: Python, processor, C library, packages that a module uses, and our own sources.

    Args:
        module: name of the stage's module.
    """
    code = code_of(module)
    return {
        "Python": platform.python_version(),
        "the processor's architecture": platform.machine(),
        "the C library": _c_library(),
        **code["libraries"],
        **code["sources"],
    }


def difference(wanted: Mapping[str, str], found: Mapping[str, str]) -> str:
    """What the first thing is that differs, in words; "" where nothing does."""
    for name in (*wanted, *(name for name in found if name not in wanted)):
        here, there = wanted.get(name), found.get(name)
        if here == there:
            continue
        if len(here or there or "") == _SHA256_DIGITS:
            return f"{name} {'is another there' if here and there else 'is not in both'}"
        return f"{name} is {there or 'missing'} there and {here or 'missing'} here"
    return ""


def _c_library() -> str:
    try:
        return os.confstr("CS_GNU_LIBC_VERSION") or ""
    except (AttributeError, OSError, ValueError):  # another system's
        return " ".join(platform.libc_ver())
