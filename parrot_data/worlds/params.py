"""Section `environment` of params.yaml: which world, and what may vary about it."""

from __future__ import annotations

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


def task_names(params: EnvironmentParams) -> tuple[str, ...] | None:
    """Tasks to fine-tune on, as far as params alone tell; None where only the world itself does."""
    if isinstance(params, TabletopParams):
        return tuple(TASKS)
    if isinstance(params, MetaworldParams):
        return metaworld_tasks.TASKS
    return tuple(params.tasks) if isinstance(params, GymnasiumParams) else None


def demonstrated_names(params: EnvironmentParams) -> tuple[str, ...] | None:
    """Tasks that the world demonstrates, none for gymnasium's; None where only it can tell."""
    if isinstance(params, TabletopParams):
        return (*FAMILIES, *TASKS)
    if isinstance(params, MetaworldParams):
        return metaworld_tasks.TASKS
    return () if isinstance(params, GymnasiumParams) else None


def family_names(params: EnvironmentParams) -> tuple[str, ...] | None:
    """Families of unseen scenes, none for gymnasium's; None where only the world itself tells."""
    if isinstance(params, TabletopParams):
        return FAMILIES
    if isinstance(params, MetaworldParams):
        return metaworld_tasks.UNSEEN
    return () if isinstance(params, GymnasiumParams) else None
