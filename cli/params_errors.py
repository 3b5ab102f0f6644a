"""What is wrong in a params file, in one sentence that names the key."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

# What PyYAML reads as a string although its author meant a number: YAML 1.1 wants the point.
EXPONENT_WITHOUT_POINT = re.compile(r"[-+]?[0-9]+[eE][-+]?[0-9]+")

WORLDS = ("tabletop", "gymnasium", "metaworld")
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
    "model_attributes_type": "a mapping of keys to values",
}


def explain(error: yaml.YAMLError) -> str:
    """Where a file is not valid YAML, and why: goes on after the file's name."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return f" is not valid YAML: {' '.join(str(error).split())}"
    mark = error.problem_mark
    return f", line {mark.line + 1}, column {mark.column + 1} is not valid YAML: {error.problem}"


def keys_of(detail: ErrorDetails, values: Any) -> tuple[int | str, ...]:
    """The keys that lead to a value, without the models that pydantic names between them.

    Args:
        detail: one of pydantic's errors.
        values: the section as it stands in the file.
    """
    loc, keys = detail["loc"], list[int | str]()
    for depth, key in enumerate(loc):
        is_missing = detail["type"] == "missing" and depth == len(loc) - 1
        is_here = (isinstance(values, dict) and key in values) or (
            isinstance(values, list) and isinstance(key, int)
        )
        if not (is_missing or is_here):
            continue
        keys.append(key)
        values = values[key] if is_here else None
    return tuple(keys)


def is_about_kind(detail: Any) -> bool:
    """Whether it is unclear of which of several models a part is."""
    at = detail["loc"][-1:]
    return detail["type"].startswith("union_tag") or at in {("name",), ("kind",)}


def describe(detail: Any, name: str, candidates: Iterable[str]) -> str:
    """One sentence for one of pydantic's errors: key, what is wrong, what to do."""
    parents = [name, *map(str, detail["loc"])]
    key = re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", ".".join(parents))
    value, kind = detail["input"], detail["type"]
    if kind == "missing":
        return f"{key} is missing; add it"
    if kind == "extra_forbidden":
        hint = nearest(parents[-1], candidates, ".".join(parents[:-1]))
        return f"{key} is not a known key{hint}; rename or remove it"
    if is_about_kind(detail) and value is not None:
        return _describe_kind(key, detail)
    return _describe_value(key, value, detail)


def _describe_value(key: str, value: object, detail: Any) -> str:
    kind = detail["type"]
    if isinstance(value, str) and EXPONENT_WITHOUT_POINT.fullmatch(value):
        spelt = value.lower().replace("e", ".0e")
        return (
            f"{key} should be a number, but YAML reads {value} as a string; write {spelt} instead"
        )
    if kind == "string_type" and isinstance(value, int | float):
        return f'{key} should be a string, got {value}; write "{value}" in quotes'
    if kind in EXPECTED:
        return f"{key} should be {EXPECTED[kind]}, got {short(value)}; correct it"
    problem = detail["msg"].removeprefix("Input ").removeprefix("Value error, ")
    found = "" if isinstance(value, dict) else f", got {short(value)}"
    return f"{key}: {problem[:1].lower()}{problem[1:]}{found}; correct it"


def _describe_kind(key: str, detail: Any) -> str:
    """It is unclear of which of several models a part is."""
    value, context = detail["input"], detail.get("ctx", {})
    if "tag" in context:
        key, value = f"{key}.{_key_of_kind(context)}", context["tag"]
        expected = [tag.strip("'") for tag in str(context["expected_tags"]).split(", ")]
    elif "discriminator" in context:
        return f"{key}.{_key_of_kind(context)} is missing; add it"
    elif key == "environment.name":
        expected = [*WORLDS, "package.module:factory of your own"]
    else:
        return _describe_value(key, value, detail)
    return (
        f"{key} is {short(value)}, which is none of {', '.join(expected)}"
        f"{nearest(value, expected)}; correct it"
    )


def _key_of_kind(context: Mapping[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def nearest(name: object, candidates: Iterable[str], prefix: str = "") -> str:
    """A question whether a known name was meant, "" where none is like it."""
    close = difflib.get_close_matches(str(name), list(candidates), n=1, cutoff=0.5)
    if not close:
        return ""
    return f" (did you mean {prefix + '.' if prefix else ''}{close[0]}?)"


def short(value: object) -> str:
    """A value as it is written, and not much of a long one."""
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:60]}... ({len(text)} characters)"
