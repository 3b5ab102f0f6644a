"""Goals: what lies in a scene, and when it counts as done."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from parrot_data.errors import UserError

Family = Literal["pick", "place", "drawer"]

# An object counts as picked this far above the height at which it rested.
LIFT_HEIGHT_M = 0.04
HOLD_DISTANCE_M = 0.10  # from the tool, as in the authors' environment
# A drawer counts as open when it is pulled out this far; it stops at 0.06 m.
OPEN_M = 0.045


@dataclass(frozen=True)
class Task:
    """A goal in a scene.

    Attributes:
        name: how people call it; the family's name where it has none of its own.
        family: "pick" (lift the target), "place" (put the target into or onto the container) or
            "drawer" (pull the target open).
        objects: ids of the objects in the scene: the target first, then the distractors. Where
            the target is a drawer, its name stands for an id.
        container: name of the container, "" but for place tasks.
    """

    name: str
    family: Family
    objects: tuple[str, ...]
    container: str

    @property
    def target(self) -> str:
        """Id of the object the reward is for."""
        return self.objects[0]

    @property
    def loose_objects(self) -> tuple[str, ...]:
        """Ids of the objects that can be lifted: all but a drawer."""
        return self.objects[1:] if self.family == "drawer" else self.objects


# The tasks agents are fine-tuned on: every object, container and drawer is of the test split.
TASKS: MappingProxyType[str, Task] = MappingProxyType(
    {
        "pick-1": Task("pick-1", "pick", ("152", "067"), ""),
        "pick-2": Task("pick-2", "pick", ("273", "345"), ""),
        "pick-3": Task("pick-3", "pick", ("049", "236"), ""),
        "pick-4": Task("pick-4", "pick", ("264", "029", "197"), ""),
        "place-1": Task("place-1", "place", ("152", "067"), "pan"),
        "place-2": Task("place-2", "place", ("273", "345"), "pan"),
        "place-3": Task("place-3", "place", ("049", "236"), "pan"),
        "place-4": Task("place-4", "place", ("264", "029"), "pan"),
        "open-drawer": Task("open-drawer", "drawer", ("walnut_drawer", "273", "345"), ""),
    }
)


def named_task(name: str) -> Task:
    """The fine-tuning task of this name.

    Raises:
        UserError: there is none.
    """
    if name not in TASKS:
        raise UserError(f"no task is called {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]
