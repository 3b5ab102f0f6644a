"""Memory that a call takes, where a test states that it does not grow."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

TRIES = 3


def peak_bytes(call: Callable[[], object]) -> int:
    """The most that Python and NumPy held at once during a call."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def grows_by_less(peak: Callable[[int], int], few: int, many: int, num_bytes: float) -> bool:
    """Whether the peak of many things is above that of few by less than so many bytes.

    Libraries fill caches of megabytes now and then, in whichever try comes upon them: what grows
    with the things grows in every try.

    Args:
        peak: of so many things; it may be asked again.
        few, many: numbers of things.
        num_bytes: to stay below.
    """
    least = min(peak(few), peak(few))  # the first imports and caches what all need
    return any(peak(many) - least < num_bytes for _ in range(TRIES))
