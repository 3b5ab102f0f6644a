"""Section `environment` of params.yaml: which world, and what may vary about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from parrot_data.section import Section
from parrot_data.worlds.metaworld import tasks as metaworld_tasks
from parrot_data.worlds.metaworld.params import MetaworldParams
from parrot_data.worlds.tabletop.params import TabletopParams
from parrot_data.worlds.tabletop.tasks import FAMILIES, TASKS

OWN = "own"


class RegisteredTask(Section):
    """A task of the world `gymnasium`.

    Attributes:
        id: under which gymnasium knows the environment; "package:id" imports the package first.
        kwargs: of `gymnasium.make`.
    """

    id: str = Field(min_length=1)
    kwargs: dict[str, Any]


class SuccessInInfo(Section):
    """Success is a value of the info, true or not, under a key."""

    info: str


class SuccessByReward(Section):
    """Success is a step's reward of at least so much."""

    reward_at_least: float


class GymnasiumParams(Section):
    """Environments that are registered with gymnasium.

    Attributes:
        name: "gymnasium".
        tasks: by the names that `finetune.tasks` uses; all with the same spaces.
        success: where success is found: {info: KEY}, true in the info of a step, or
            {reward_at_least: R}, a reward of at least R in a step.
        max_steps: actions after which an episode is truncated; null for the registered limit.
    """

    name: Literal["gymnasium"]
    tasks: dict[str, RegisteredTask] = Field(min_length=1)
    success: SuccessInInfo | SuccessByReward
    max_steps: int | None = Field(ge=1)


class OwnWorldParams(Section):
    """A world of the user's own.

    Attributes:
        name: "package.module:factory", a callable that gives a `World`.
        kwargs: that it is called with.
    """

    name: str = Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")
    kwargs: dict[str, Any]


def _which(values: Any) -> str:
    name = values.get("name") if isinstance(values, dict) else getattr(values, "name", None)
    return name if name in ("tabletop", "gymnasium", "metaworld") else OWN


EnvironmentParams = Annotated[
    Annotated[TabletopParams, Tag("tabletop")]
    | Annotated[GymnasiumParams, Tag("gymnasium")]
    | Annotated[MetaworldParams, Tag("metaworld")]
    | Annotated[OwnWorldParams, Tag(OWN)],
    Discriminator(_which),
]


@dataclass(frozen=True)
class Names:
    """What a world's tasks and families are called, as far as params alone tell.

    Attributes:
        tasks: to fine-tune on.
        demonstrated: tasks that the world has a demonstrator for.
        families: of unseen scenes.
    """

    tasks: tuple[str, ...]
    demonstrated: tuple[str, ...]
    families: tuple[str, ...]


def names_in(params: EnvironmentParams) -> Names | None:
    """The names of the world that params choose; None where only the world itself tells."""
    if isinstance(params, TabletopParams):
        return Names(tuple(TASKS), (*FAMILIES, *TASKS), FAMILIES)
    if isinstance(params, MetaworldParams):
        return Names(metaworld_tasks.TASKS, metaworld_tasks.TASKS, metaworld_tasks.UNSEEN)
    return Names(tuple(params.tasks), (), ()) if isinstance(params, GymnasiumParams) else None
