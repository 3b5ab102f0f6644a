"""Goals: what lies in a scene, and when it counts as done."""

from __future__ import annotations

from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator

from parrot_data.errors import UserError
from parrot_data.section import check_names

Family = Literal["pick", "place", "drawer"]
FAMILIES: tuple[Family, ...] = get_args(Family)

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
        obstacle: name of what stands between the arm's start and the target, "" for nothing.
    """

    name: str
    family: Family
    objects: tuple[str, ...]
    container: str
    obstacle: str = ""

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
        "pick-bar": Task("pick-bar", "pick", ("bar", "teapot"), ""),
        "pick-sculpture": Task("pick-sculpture", "pick", ("sculpture", "duck"), ""),
        "pick-cup": Task("pick-cup", "pick", ("cup", "bottle"), ""),
        "pick-baseball-cap": Task(
            "pick-baseball-cap", "pick", ("baseball_cap", "car", "chair"), ""
        ),
        "place-can-in-pan": Task("place-can-in-pan", "place", ("can", "car"), "pan"),
        "place-sculpture-in-basket": Task(
            "place-sculpture-in-basket", "place", ("sculpture", "bottle"), "basket"
        ),
        "place-chair-on-checkerboard-table": Task(
            "place-chair-on-checkerboard-table", "place", ("chair", "duck"), "checkerboard_table"
        ),
        "place-baseball-cap-on-block": Task(
            "place-baseball-cap-on-block", "place", ("baseball_cap", "teapot"), "block"
        ),
        "open-drawer": Task("open-drawer", "drawer", ("walnut_drawer", "bottle", "duck"), ""),
        # No data show a wall: what a prior knows of the way to a target leads into it
        "pick-cup-behind-wall": Task(
            "pick-cup-behind-wall", "pick", ("cup", "bottle"), "", obstacle="wall"
        ),
    }
)


def gymnasium_id(name: str) -> str:
    """Under which id gymnasium makes a task, or a family: "parrot/PickBar-v0" for "pick-bar"."""
    return f"parrot/{''.join(word.capitalize() for word in name.split('-'))}-v0"


def named_task(name: str) -> Task:
    """The fine-tuning task of this name.

    Raises:
        UserError: there is none.
    """
    if name not in TASKS:
        raise UserError(f"no task is called {name!r}; choose one of {', '.join(TASKS)}")
    return TASKS[name]


def _known_tasks(names: list[str]) -> list[str]:
    check_names(names, TASKS)
    return names


# Names of fine-tuning tasks in params.yaml
Tasks = Annotated[list[str], AfterValidator(_known_tasks)]
