"""The world that section `environment` of params.yaml names."""

from __future__ import annotations

import hashlib
import importlib
import sys
from pathlib import Path
from typing import Any

from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError, cause
from parrot_data.worlds.metaworld.params import MetaworldParams
from parrot_data.worlds.params import EnvironmentParams, GymnasiumParams, OwnWorldParams
from parrot_data.worlds.world import Env, World

CALLED = ("make_env", "unseen", "demonstrator")  # members of a `World` that are methods
NAMED = ("tasks", "families")  # and those that are lists of names


def make_world(params: EnvironmentParams) -> World:
    """Make it; simulators are imported here, and only the one that is asked for.

    Raises:
        UserError: there is no such module or factory, the world cannot be made, or it is none.
    """
    if isinstance(params, OwnWorldParams):
        return _own_world(params)
    if isinstance(params, GymnasiumParams):
        from parrot_data.worlds.gymnasium_world import GymnasiumWorld  # noqa: PLC0415

        return GymnasiumWorld(params)
    if isinstance(params, MetaworldParams):
        return _metaworld(params)
    from parrot_data.worlds.tabletop.world import TabletopWorld  # noqa: PLC0415

    return TabletopWorld(params)


def make_task_env(params: EnvironmentParams, task: str, render_mode: str | None = None) -> Env:
    """The environment of a task of the world that params name: see `World.make_env`."""
    return make_world(params).make_env(task, render_mode)


def code_of_world(params: EnvironmentParams, world: World) -> dict[str, Any]:
    """What a fingerprint says of a world's code beyond our own packages: its spec, its modules.

    Args:
        params: section `environment`.
        world: made by them.

    Returns:
        `spec`, and the SHA-256 of the files that define a user's factory and world.
    """
    names = {type(world).__module__}
    if isinstance(params, OwnWorldParams):
        names.add(params.name.partition(":")[0])
    files = {name: getattr(sys.modules.get(name), "__file__", None) for name in sorted(names)}
    return {
        "spec": world.spec.model_dump(),
        "sources": {
            name: hashlib.sha256(Path(file).read_bytes()).hexdigest()
            for name, file in files.items()
            if file is not None
        },
    }


def _metaworld(params: MetaworldParams) -> World:
    try:
        from parrot_data.worlds.metaworld.world import MetaworldWorld  # noqa: PLC0415
    except ImportError as error:
        raise UserError(
            f"environment.name metaworld: its package cannot be imported ({cause(error)}): "
            "install the extra of that name, pip install 'parrot-priors[metaworld]'"
        ) from error
    return MetaworldWorld(params)


def _own_world(params: OwnWorldParams) -> World:
    module, _, factory = params.name.partition(":")
    where = f"environment.name {params.name}"
    here = str(Path.cwd())
    if here not in sys.path:  # a user's module lies beside params.yaml, not in site-packages
        sys.path.insert(0, here)
    try:
        make = getattr(importlib.import_module(module), factory)
    except AttributeError as error:
        if module in sys.modules:
            raise UserError(f"{where}: {module} has no {factory}: correct the name") from None
        raise _not_imported(where, module, error) from error
    except Exception as error:
        raise _not_imported(where, module, error) from error
    try:
        world = make(**params.kwargs)
    except UserError:
        raise
    except Exception as error:
        raise UserError(
            f"{where}: {factory} failed ({cause(error)}): correct environment.kwargs, or the "
            "factory"
        ) from error
    _check(world, where)
    checked: World = world
    return checked


def _not_imported(where: str, module: str, error: Exception) -> UserError:
    return UserError(
        f"{where}: {module} cannot be imported ({cause(error)}): name a module of the working "
        "directory or of an installed package, or correct it"
    )


def _check(world: object, where: str) -> None:
    """See that what a factory gave is a world."""
    what = f"{where} gives a {type(world).__name__}"
    members = ("spec", "max_steps", *NAMED, *CALLED)
    missing = [name for name in members if not hasattr(world, name)]
    missing += [name for name in CALLED if not callable(getattr(world, name, len))]
    if missing:
        raise UserError(
            f"{what} without {', '.join(missing)}: give it every member of `World` "
            "(parrot_data/worlds/world.py)"
        )
    spec: object = getattr(world, "spec")  # noqa: B009 - it is of no known type yet
    if not isinstance(spec, EpisodeSpec):
        raise UserError(
            f"{what} whose spec is a {type(spec).__name__}: make it an EpisodeSpec "
            "(parrot_data/episodes/spec.py)"
        )
    max_steps: object = getattr(world, "max_steps")  # noqa: B009
    if not isinstance(max_steps, int) or max_steps < 1:
        raise UserError(f"{what} whose max_steps is {max_steps!r}: make it a number of 1 or more")
    for member in NAMED:
        names = getattr(world, member)
        if isinstance(names, str) or not all(isinstance(n, str) for n in _listed(names)):
            raise UserError(f"{what} whose {member} are {names!r}: make them a list of names")


def _listed(names: Any) -> list[object]:
    try:
        return list(names)
    except TypeError:
        return [None]
