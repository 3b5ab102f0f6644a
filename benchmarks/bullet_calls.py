"""The bare work of a simulator: its own calls, with their arguments, and no Python in between."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from parrot_data.worlds.tabletop.bullet import bullet

# What moves, makes or draws something. Everything else only reads, and a bare loop can do without.
WORKING = ("change", "create", "load", "remove", "reset", "restore", "set", "step")
DRAWING = "getCameraImage"


@dataclass(frozen=True)
class Call:
    """One call to the simulator, as it was made, and what it gave."""

    name: str
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    keywords: dict[str, Any]
    result: Any


@contextmanager
def recorded() -> Iterator[list[Call]]:
    """Note every working call made inside the block; gives the list they are noted in."""
    originals = {
        name: function
        for name, function in vars(bullet).items()
        if callable(function) and (name.startswith(WORKING) or name == DRAWING)
    }
    calls: list[Call] = []
    try:
        for name, function in originals.items():
            setattr(bullet, name, _noting(name, function, calls))
        yield calls
    finally:
        for name, function in originals.items():
            setattr(bullet, name, function)


def _noting(name: str, function: Callable[..., Any], calls: list[Call]) -> Callable[..., Any]:
    def noted(*arguments: Any, **keywords: Any) -> Any:
        result = function(*arguments, **keywords)
        kept = None if name == DRAWING else result  # thousands of images would fill the caches
        calls.append(Call(name, function, arguments, keywords, kept))
        return result

    return noted


def bare_loop(calls: Sequence[Call]) -> Callable[[], None]:
    """What makes the same calls again, and nothing else."""
    plain = [(call.function, call.arguments, call.keywords) for call in calls]

    def run() -> None:
        for function, arguments, keywords in plain:
            function(*arguments, **keywords)

    return run


def check_loop(calls: Sequence[Call], num_substeps: int, num_images: int) -> None:
    """Make the calls once more and see that they are the whole work, and do the same again.

    Raises:
        RuntimeError: substeps or images are missing among them (the environment reaches the
            simulator in another way), or bodies came out under other numbers.
    """
    counts = Counter(call.name for call in calls)
    if (counts["stepSimulation"], counts[DRAWING]) != (num_substeps, num_images):
        raise RuntimeError(
            f"{counts['stepSimulation']} substeps and {counts[DRAWING]} images were noted of "
            f"{num_substeps} and {num_images}"
        )
    for call in calls:
        again = call.function(*call.arguments, **call.keywords)
        if call.name == "createMultiBody" and again != call.result:
            raise RuntimeError(f"body {call.result} was made as {again} when it was made again")
