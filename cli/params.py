"""params.yaml to typed sections: every mistake in it becomes one sentence that names the key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import yaml

from cli.params_check import check_together, models, together
from cli.params_errors import describe, explain, is_about_kind, keys_of, nearest, short
from cli.params_yaml import check_plain, parse, read_yaml
from parrot_data.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from parrot_data.worlds.params import EnvironmentParams
    from parrot_models.training.params import KeypointParams

    Model = TypeVar("Model", bound=BaseModel)

# One section a stage, plus environment and keypoints, which several of them read.
SECTIONS = (
    "environment",
    "generate",
    "filter",
    "shard",
    "keypoints",
    "train_prior",
    "pretrain",
    "judge",
    "finetune",
    "evaluate",
    "film",
    "explore",
    "audit",
    "report",
)
# What only a study's own file has: the matrix that it compares.
OF_STUDIES = ("study",)
# A part that says which of several models it is, by one of these keys, is of that model whole.
KINDS = ("name", "kind")
# Weights by the names of tasks are one value: a file that names others means these alone.
WHOLE = ("tasks",)
# Names the file that a profile or study changes some values of, relative to its own folder.
EXTENDS = "extends"


def load_params(path: Path, overrides: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Read the sections of a params file and apply `section.key=value` overrides to them.

    A file may name another with `extends: FILE` and then holds only what differs from it.

    Raises:
        UserError: unreadable file, invalid YAML, unknown section, or an override of no known key.
    """
    raw = _read(path, frozenset())
    for override in overrides:
        _apply(raw, override, path)
    try:
        check_plain(raw, "")
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    return raw


def _read(path: Path, extending: frozenset[Path]) -> dict[str, Any]:
    if path.resolve() in extending:
        raise UserError(f"{path} extends itself, by way of others or not: name another file")
    raw = read_yaml(path)
    base = raw.pop(EXTENDS, None) if isinstance(raw, dict) else None
    _check_sections(raw, path)
    if base is None:
        return dict(raw)
    if not isinstance(base, str):
        raise UserError(f"{path}: {EXTENDS} should name a file, got {short(base)}; correct it")
    extended = _read(path.parent / base, extending | {path.resolve()})
    for name, values in raw.items():
        extended[name] = _merged(extended.get(name, {}), values)
    return extended


def _merged(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The values of a section with some of them changed, mappings in it key by key.

    What is of another kind by its changes has the keys of that kind, and none of the base's; so
    have the weights of tasks.
    """
    if any(key in base and changes.get(key, base[key]) != base[key] for key in KINDS):
        return changes
    return base | {
        key: _merged(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict) and key not in WHOLE
        else value
        for key, value in changes.items()
    }


def section(raw: dict[str, dict[str, Any]], name: str, model: type[Model], path: Path) -> Model:
    """Validate one section against the params model of its stage.

    Raises:
        UserError: the section is missing, or a key in it is unknown, missing or of a wrong type.
    """
    return cast("Model", validated(raw, name, model, path))


def validated(raw: dict[str, dict[str, Any]], name: str, form: Any, path: Path) -> Any:
    """The same of any form that pydantic validates, such as one of several models."""
    from pydantic import TypeAdapter, ValidationError

    if name not in raw:
        raise UserError(f"{path}: the section {name} is missing; add it with the keys of its stage")
    try:
        return TypeAdapter(form).validate_python(raw[name])
    except ValidationError as error:
        details: list[dict[str, Any]] = [
            {**detail, "loc": keys_of(detail, raw[name])}
            for detail in error.errors(include_url=False)
        ]
        # What says of which kind a part is decides what else it has: say that first. An unknown
        # key is most often the missing one misspelt: say that next.
        details.sort(
            key=lambda detail: (not is_about_kind(detail), detail["type"] != "extra_forbidden")
        )
        missing = [str(d["loc"][-1]) for d in details if d["type"] == "missing"]
        sentence = describe(details[0], name, missing or list(getattr(form, "model_fields", ())))
        raise UserError(f"{path}: {sentence}") from error


class Sections:
    """The sections of one params file: call it with a name and a model to get one validated."""

    def __init__(self, path: Path, overrides: Sequence[str] | None = None) -> None:
        """Read the file and check all of it, whichever sections are asked for later.

        Raises:
            UserError: see `load_params`, `section` and `check_together` for what can be wrong.
        """
        self.path = path
        self.raw = load_params(path, overrides or ())
        sections = {
            name: validated(self.raw, name, form, path)
            for name, form in models().items()
            if name in self.raw or name in SECTIONS
        }
        try:
            check_together(together(sections))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    def __call__(self, name: str, model: type[Model]) -> Model:
        """Validate one section; see `section` for what can be wrong with it."""
        return section(self.raw, name, model, self.path)

    def environment(self) -> EnvironmentParams:
        """Section `environment`, whose name says of which model it is."""
        from parrot_data.worlds.params import EnvironmentParams

        params: EnvironmentParams = validated(self.raw, "environment", EnvironmentParams, self.path)
        return params

    def keypoints(self) -> KeypointParams:
        """Section `keypoints`, whose kind says of which model it is."""
        from parrot_models.training.params import KeypointParams

        params: KeypointParams = validated(self.raw, "keypoints", KeypointParams, self.path)
        return params


def _check_sections(raw: object, path: Path) -> None:
    if not isinstance(raw, dict):
        raise UserError(f"{path} should hold the sections {', '.join(SECTIONS)}, and holds none")
    for name, values in raw.items():
        if name not in SECTIONS + OF_STUDIES:
            raise UserError(
                f"{path}: {name} is not a section{nearest(name, SECTIONS)}; "
                f"rename or remove it (sections: {', '.join(SECTIONS)})"
            )
        if not isinstance(values, dict):
            raise UserError(f"{path}: {name} should hold keys and values, got {values!r}")


def _apply(raw: dict[str, Any], override: str, path: Path) -> None:
    key, equals, text = override.partition("=")
    # A whole section, such as that of another world, is a mapping
    if not equals or ("." not in key and not text.lstrip().startswith("{")):
        raise UserError(f"--set {override} should read section.key=value")
    *parents, last = key.strip().split(".")
    place: Any = raw
    for depth, parent in enumerate([*parents, last]):
        if not isinstance(place, dict) or parent not in place:
            known = [str(name) for name in place] if isinstance(place, dict) else []
            prefix = ".".join([*parents, last][:depth])
            raise UserError(
                f"--set {key} names no key of {path}{nearest(parent, known, prefix)}; "
                "correct the name, or add the key to the file first"
            )
        place, holder = place[parent], place
    try:
        holder[last] = parse(text)
    except yaml.YAMLError as error:
        raise UserError(f"--set {key}: the value {short(text)}{explain(error)}") from error
