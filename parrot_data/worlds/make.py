"""The world that section `environment` of params.yaml names."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from parrot_data.errors import UserError
from parrot_data.worlds.params import EnvironmentParams, GymnasiumParams, OwnWorldParams
from parrot_data.worlds.world import Env, World


def make_world(params: EnvironmentParams) -> World:
    """Make it; simulators are imported here, and only the one that is asked for.

    Raises:
        UserError: there is no such module or factory, or the world cannot be made.
    """
    if isinstance(params, OwnWorldParams):
        return _own_world(params)
    if isinstance(params, GymnasiumParams):
        from parrot_data.worlds.gymnasium_world import GymnasiumWorld  # noqa: PLC0415

        return GymnasiumWorld(params)
    from parrot_data.worlds.tabletop.world import TabletopWorld  # noqa: PLC0415

    return TabletopWorld(params)


def make_task_env(params: EnvironmentParams, task: str, render_mode: str | None = None) -> Env:
    """The environment of a task of the world that params name: see `World.make_env`."""
    return make_world(params).make_env(task, render_mode)


def _own_world(params: OwnWorldParams) -> World:
    module, _, factory = params.name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:  # a user's module lies beside params.yaml, not in site-packages
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module), factory)
    except ImportError as error:
        raise UserError(
            f"environment.name {params.name}: {module} cannot be imported ({error}): name a module "
            "of the working directory, or of an installed package"
        ) from error
    except AttributeError:
        raise UserError(
            f"environment.name {params.name}: {module} has no {factory}: correct the name"
        ) from None
    world: World = make(**params.kwargs)
    return world
