"""What has happened in an episode so far: of it, a failure is explained."""

from __future__ import annotations

from dataclasses import dataclass

from parrot_data.worlds.tabletop.layout import Layout
from parrot_data.worlds.tabletop.scene import Scene
from parrot_data.worlds.tabletop.success import is_over_container
from parrot_data.worlds.tabletop.tasks import Task


@dataclass
class Outcome:
    """Claims that stay true once they were.

    Attributes:
        is_touched: the arm touched an object, or the drawer's knob.
        is_grasped: both fingers held the target.
        is_lifted: the target was lifted.
        is_achieved: the task was achieved, if only for a step.
        is_wrong_grasped: both fingers held an object other than the target.
    """

    is_touched: bool = False
    is_grasped: bool = False
    is_lifted: bool = False
    is_achieved: bool = False
    is_wrong_grasped: bool = False

    def add(
        self, task: Task, *, is_success: bool, touched: str, grasped: str, lifted: list[str]
    ) -> None:
        """Take in a step: whether the task is achieved, and names of objects, "" for none."""
        self.is_touched |= bool(touched)
        self.is_grasped |= grasped == task.target
        self.is_wrong_grasped |= grasped not in ("", task.target)
        self.is_lifted |= task.target in lifted
        self.is_achieved |= is_success

    def failure(self, scene: Scene, task: Task, layout: Layout, grasped: str) -> str:
        """The first thing that went wrong, in the words of the filter report.

        Args:
            scene: as it is now, the task not achieved.
            task: the episode's.
            layout: the episode's.
            grasped: name of the object that is held now, "" for none.
        """
        for missing, reason in (
            (not self.is_touched, "never_touched"),
            (not self.is_grasped, "never_grasped"),
            (task.family == "drawer", "pushed_shut" if self.is_achieved else "not_pulled_open"),
            (not self.is_lifted, "never_lifted"),
            (task.family == "pick", "dropped"),
            (grasped == task.target, "not_released"),
        ):
            if missing:
                return reason
        is_over = is_over_container(scene, task.target, task, layout)
        return "not_at_rest" if is_over else "missed_container"
