"""Recipes: what a dataset's manifest records of how its episodes were simulated."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from parrot_data.comparison.values import changed_values
from parrot_data.errors import UserError
from parrot_data.generate_params import GenerateParams
from parrot_data.stores.manifest import MANIFEST, Manifest
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams

_SECTIONS = ("environment", "generate")


@dataclass(frozen=True)
class Recipe:
    """All that determines an episode but its index.

    Attributes:
        environment: the world.
        tasks: weight of each task that is demonstrated.
        seed: of the run.
    """

    environment: EnvironmentParams
    tasks: Mapping[str, float]
    seed: int


def recipes_of(manifest: Manifest, folder: Path) -> list[Recipe]:
    """What the episodes of a dataset were simulated with; several where it was merged of such.

    Raises:
        UserError: they were not, or it does not say, or in other words than today's.
    """
    path, found = folder / MANIFEST, list[Recipe]()
    for params in _origins(manifest):
        if "import" in params:
            raise UserError(
                f"{folder} holds episodes that were imported: they were recorded elsewhere, and "
                "there is nothing to simulate; `parrot verify` checks that they are as imported."
            )
        lacking = [name for name in _SECTIONS if name not in params]
        if lacking:
            raise UserError(
                f"{path} does not record the params of {' and '.join(lacking)} for all of its "
                "episodes, so that nobody can simulate these anew: name a dataset that `parrot "
                "generate` made, or one that was made from such."
            )
        environment: EnvironmentParams = _validated(EnvironmentParams, params, _SECTIONS[0], path)
        values: GenerateParams = _validated(GenerateParams, params, _SECTIONS[1], path)
        recipe = Recipe(environment, values.tasks, values.seed)
        if recipe not in found:
            found.append(recipe)
    return found


def _origins(manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    """Params of the datasets that episodes come from: its own, or those of what was merged.

    An edit keeps the sections in which all that it edits agree: where one that matters is gone,
    each parent has its own.
    """
    if not manifest.parents or all(name in manifest.params for name in _SECTIONS):
        yield manifest.params
        return
    behind = {ancestor.child for ancestor in manifest.ancestors}
    for each in (*manifest.parents, *manifest.ancestors):
        is_whole = all(name in each.made_with for name in _SECTIONS)
        if is_whole or each.sha256 not in behind:
            yield each.made_with


def _validated(form: Any, params: Mapping[str, Any], name: str, path: Path) -> Any:
    try:
        # As JSON: it has no tuples
        return TypeAdapter(form).validate_json(json.dumps(params[name]))
    except ValidationError as error:
        first = error.errors()[0]
        # Of a world, the place begins with which of the params models it was held against
        place = first["loc"][1:] if name == _SECTIONS[0] else first["loc"]
        key = ".".join((name, *(str(part) for part in place)))
        raise UserError(
            f"{path} records params that this version does not understand ({key}: {first['msg']}): "
            "check out the version that made the dataset."
        ) from error


def check_world(recipe: Recipe, manifest: Manifest, folder: Path) -> None:
    """See that the world is there, demonstrates the tasks, and shows what the dataset holds.

    Raises:
        UserError: it does not.
    """
    world = make_world(recipe.environment)
    Demonstrations(world, recipe.tasks, recipe.seed).close()
    changes = changed_values(manifest.spec.model_dump(), world.spec.model_dump())
    if changes:
        raise UserError(
            f"{folder} was made by other code: the world that its params name has another spec "
            f"today ({changes[0].name} is not the same), so no episode of it can come out again; "
            "check out the version that made the dataset."
        )
