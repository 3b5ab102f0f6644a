"""params.yaml to typed sections: every mistake in it becomes one sentence that names the key."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from cli.params_check import check_together, models, together
from cli.params_errors import describe, explain, nearest, short
from cli.params_yaml import check_plain, parse, read_yaml
from parrot_data.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

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
    "finetune",
    "evaluate",
    "explore",
    "report",
)
# What only a study's own file has: the matrix that it compares.
OF_STUDIES = ("study",)
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
    """The values of a section with some of them changed, mappings in it key by key."""
    return base | {
        key: _merged(base[key], value)
        if isinstance(value, dict) and isinstance(base.get(key), dict)
        else value
        for key, value in changes.items()
    }


def section(raw: dict[str, dict[str, Any]], name: str, model: type[Model], path: Path) -> Model:
    """Validate one section against the params model of its stage.

    Raises:
        UserError: the section is missing, or a key in it is unknown, missing or of a wrong type.
    """
    from pydantic import ValidationError

    if name not in raw:
        raise UserError(f"{path}: the section {name} is missing; add it with the keys of its stage")
    try:
        return model.model_validate(raw[name])
    except ValidationError as error:
        details = error.errors(include_url=False)
        # An unknown key is most often the missing one misspelt: say that first.
        details.sort(key=lambda detail: detail["type"] != "extra_forbidden")
        missing = [str(d["loc"][-1]) for d in details if d["type"] == "missing"]
        sentence = describe(details[0], name, missing or list(model.model_fields))
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
            name: section(self.raw, name, model, path)
            for name, model in models().items()
            if name in self.raw or name in SECTIONS
        }
        try:
            check_together(together(sections))
        except UserError as error:
            raise UserError(f"{path}: {error}") from error

    def __call__(self, name: str, model: type[Model]) -> Model:
        """Validate one section; see `section` for what can be wrong with it."""
        return section(self.raw, name, model, self.path)


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
    if not equals or "." not in key:
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
