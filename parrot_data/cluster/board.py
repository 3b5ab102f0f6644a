"""A board on which tasks of a cluster write what they are doing, for the driver to read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple

READ_EVERY_S = 2.0

# In a task: says what it is doing.
Tell = Callable[[str], None]


class Said(NamedTuple):
    """What was last said of an item that is worked on.

    Attributes:
        node: address of the machine.
        text: how far it is, "" where it does not say.
    """

    node: str
    text: str


class _Notes:
    """The board itself: a process of its own on the driver's node."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, str]] = {}

    def tell(self, name: str, node: str, text: str) -> None:
        """Take note of what an item's task says."""
        self._said[name] = (node, text)

    def read(self) -> dict[str, tuple[str, str]]:
        """All that was said."""
        return self._said


class Board:
    """The driver's side. What is lost of it, with a node say, is only missing from the progress.

    Args:
        ray: connected.
    """

    def __init__(self, ray: Any) -> None:
        from ray.util.scheduling_strategies import (  # noqa: PLC0415 - an extra
            NodeAffinitySchedulingStrategy,
        )

        self._ray = ray
        here = ray.get_runtime_context().get_node_id()
        self.actor = (
            ray.remote(_Notes)
            .options(
                num_cpus=0,
                max_restarts=-1,
                scheduling_strategy=NodeAffinitySchedulingStrategy(here, soft=True),
            )
            .remote()
        )
        self._asked: Any = None
        self._asked_at = -READ_EVERY_S
        self._said: dict[str, Said] = {}

    def read(self) -> Mapping[str, Said]:
        """What was said by name, a few seconds old; never waits for an answer."""
        if self._asked is None and monotonic() - self._asked_at >= READ_EVERY_S:
            self._asked, self._asked_at = self.actor.read.remote(), monotonic()
        if self._asked is not None and self._ray.wait([self._asked], timeout=0)[0]:
            try:
                found = self._ray.get(self._asked)
                self._said = {name: Said(*each) for name, each in found.items()}
            except self._ray.exceptions.RayError:
                self._said = {}
            self._asked = None
        return self._said
