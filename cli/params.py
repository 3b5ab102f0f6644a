"""params.yaml to typed sections: every mistake in it becomes one sentence that names the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Hashable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import yaml

from parrot_data.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

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

# What PyYAML reads as a string although its author meant a number: YAML 1.1 wants the point.
EXPONENT_WITHOUT_POINT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")

EXPECTED = {
    "int_type": "an integer",
    "int_from_float": "an integer",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "a string",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
}


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses a key written twice, where PyYAML would keep the last in silence."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Hashable] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is written twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def load_params(path: Path, overrides: Sequence[str] = ()) -> dict[str, dict[str, Any]]:
    """Read the sections of a params file and apply `section.key=value` overrides to them.

    A file may name another with `extends: FILE` and then holds only what differs from it.

    Raises:
        UserError: unreadable file, invalid YAML, unknown section, or an override of no known key.
    """
    raw = _read(path, frozenset())
    for override in overrides:
        _apply(raw, override, path)
    return raw


def _read(path: Path, extending: frozenset[Path]) -> dict[str, Any]:
    if path.resolve() in extending:
        raise UserError(f"{path} extends itself, by way of others or not: name another file")
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist: run in the folder that holds params.yaml, "
            "or name a params file with --params"
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} cannot be read as text: {error}") from error
    except yaml.YAMLError as error:
        raise UserError(f"{path}{_explain(error)}; correct that line") from error
    base = raw.pop(EXTENDS, None) if isinstance(raw, dict) else None
    _check_sections(raw, path)
    if base is None:
        return dict(raw)
    extended = _read(path.parent / str(base), extending | {path.resolve()})
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
        sentence = _describe(details[0], name, missing or list(model.model_fields))
        raise UserError(f"{path}: {sentence}") from error


class Sections:
    """The sections of one params file: call it with a name and a model to get one validated."""

    def __init__(self, path: Path, overrides: Sequence[str] | None = None) -> None:
        """Read the file; see `load_params` for what can be wrong with it."""
        self.path = path
        self.raw = load_params(path, overrides or ())

    def __call__(self, name: str, model: type[Model]) -> Model:
        """Validate one section; see `section` for what can be wrong with it."""
        return section(self.raw, name, model, self.path)


def _explain(error: yaml.YAMLError) -> str:
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f" is not valid YAML: {' '.join(str(error).split())}"
    mark = error.problem_mark
    return f", line {mark.line + 1}, column {mark.column + 1} is not valid YAML: {error.problem}"


def _check_sections(raw: object, path: Path) -> None:
    if not isinstance(raw, dict):
        raise UserError(f"{path} should hold the sections {', '.join(SECTIONS)}, and holds none")
    for name, values in raw.items():
        if name not in SECTIONS + OF_STUDIES:
            raise UserError(
                f"{path}: {name} is not a section{_nearest(name, SECTIONS)}; "
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
                f"--set {key} names no key of {path}{_nearest(parent, known, prefix)}; "
                "correct the name, or add the key to the file first"
            )
        place, holder = place[parent], place
    try:
        holder[last] = yaml.load(text, Loader=_StrictLoader)
    except yaml.YAMLError as error:
        raise UserError(f"--set {key}: the value {text!r} is not valid YAML") from error


def _describe(detail: ErrorDetails, name: str, candidates: Iterable[str]) -> str:
    """One sentence for one of pydantic's errors: key, what is wrong, what to do."""
    parents = [name, *map(str, detail["loc"])]
    key = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", ".".join(parents))
    value, kind = detail["input"], detail["type"]
    if kind == "missing":
        return f"{key} is missing; add it"
    if kind == "extra_forbidden":
        hint = _nearest(parents[-1], candidates, ".".join(parents[:-1]))
        return f"{key} is not a known key{hint}; rename or remove it"
    if isinstance(value, str) and EXPONENT_WITHOUT_POINT.fullmatch(value):
        spelt = value.lower().replace("e", ".0e")
        return (
            f"{key} should be a number, but YAML reads {value} as a string; write {spelt} instead"
        )
    if kind in EXPECTED:
        return f"{key} should be {EXPECTED[kind]}, got {value!r}; correct it"
    problem = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
    found = "" if isinstance(value, dict) else f", got {value!r}"
    return f"{key}: {problem[:1].lower()}{problem[1:]}{found}; correct it"


def _nearest(name: object, candidates: Iterable[str], prefix: str = "") -> str:
    close = difflib.get_close_matches(str(name), list(candidates), n=1, cutoff=0.5)
    if not close:
        return ""
    return f" (did you mean {prefix + '.' if prefix else ''}{close[0]}?)"
