"""The world on other machines: a user's own travels there, one of a package must be the same."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

from parrot_data.cluster.folders import Packed, cached, packed
from parrot_data.cluster.items import node_here
from parrot_data.cluster.sameness import NodeDiffersError, difference
from parrot_data.stores.publish import json_text
from parrot_data.worlds.make import code_of_world, make_world
from parrot_data.worlds.params import EnvironmentParams, OwnWorldParams
from parrot_data.worlds.world import World

_OURS = ("benchmarks", "cli", "parrot_data", "parrot_models")


@dataclass(frozen=True)
class TravellingWorld:
    """A world that tasks of a cluster are to make as the driver has it; equal if `key` is.

    Attributes:
        key: all there is to know of it.
        environment: its params.
        modules: sources of a user's own, none for one that ships.
        described: what must be the same of it on every node: spec, modules, packages.
    """

    key: str
    environment: EnvironmentParams = field(compare=False)
    modules: Packed = field(compare=False)
    described: dict[str, str] = field(compare=False)

    def make(self) -> World:
        """In a task: make it.

        Raises:
            UserError: it cannot be made here, or is another one.
        """
        place = str(cached(self.modules))
        if place not in sys.path:
            sys.path.insert(0, place)  # before others of the same name
        world = make_world(self.environment)
        differs = difference(self.described, _described(self.environment, world))
        if differs:
            raise NodeDiffersError(node_here(), differs)
        return world


def travelling(environment: EnvironmentParams) -> TravellingWorld:
    """The world of these params, for tasks.

    Raises:
        UserError: see `make_world`.
    """
    described = _described(environment, make_world(environment))
    modules = _own_modules() if isinstance(environment, OwnWorldParams) else packed({})
    key = json_text([environment.model_dump(), described, modules.sha256])
    return TravellingWorld(key, environment, modules, described)


@cache
def check_world(world: TravellingWorld) -> None:
    """In a task: see that its process can make a world, once.

    Raises:
        UserError: see `TravellingWorld.make`.
    """
    world.make()


def _own_modules() -> Packed:
    """What of the current folder this process has imported: a user's world among it."""
    here, files = Path.cwd().resolve(), {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        path = Path(file).resolve() if file else None
        if path is None or name.partition(".")[0] in _OURS or not path.is_relative_to(here):
            continue
        if "site-packages" not in path.parts and path.suffix == ".py" and path.is_file():
            files[path.relative_to(here).as_posix()] = path.read_bytes()
    return packed(files)


def _described(environment: EnvironmentParams, world: World) -> dict[str, str]:
    code = code_of_world(environment, world)
    spec = hashlib.sha256(json_text(code["spec"]).encode()).hexdigest()
    modules = {f"module {name}": digest for name, digest in code["sources"].items()}
    return {"the world's spec": spec, **modules, **_packages_of(world)}


def _packages_of(world: World) -> dict[str, str]:
    """Versions of the packages that a world and the environment of its first task are from."""
    names = {type(world).__module__}
    for task in world.tasks[:1]:
        env = world.make_env(task)
        names.add(type(env.unwrapped).__module__)
        env.close()
    known = packages_distributions()
    tops = {name.partition(".")[0] for name in names} - set(_OURS)
    return {name: version(name) for top in sorted(tops) for name in known.get(top, ())}
