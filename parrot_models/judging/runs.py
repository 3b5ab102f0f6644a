"""The world that a run of finetune learned in, made again to act in."""

from __future__ import annotations

from pydantic import TypeAdapter, ValidationError

from parrot_data.episodes.spec import difference
from parrot_data.errors import UserError
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams
from parrot_data.worlds.world import World
from parrot_models.methods.runs import RunConfig


def world_of(config: RunConfig) -> World:
    """The world of a run.

    Raises:
        UserError: its config names none, or the world is no longer what it was.
    """
    try:
        params: EnvironmentParams = TypeAdapter(EnvironmentParams).validate_python(
            config.environment
        )
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise UserError(
            f"the run's config.json names no environment ({first['msg']}): fine-tune again"
        ) from error
    world = make_world(params)
    differs = difference(config.spec, world.spec)
    if differs:
        raise UserError(
            f"the run learned in an environment that has changed since ({differs}): set it back, "
            "or fine-tune again"
        )
    return world
