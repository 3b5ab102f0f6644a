"""YAML as params are written in it: mappings, lists, and plain values that every stage can hold."""

from __future__ import annotations

import math
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from cli.params_errors import explain, short
from parrot_data.errors import UserError

MOST_BYTES = 1_000_000  # of a file; ours have five thousand
MOST_VALUES = 100_000  # of a file, those repeated by aliases too
MOST_DEPTH = 50
MOST_INTEGER = 2**63 - 1


class _StrictLoader(yaml.SafeLoader):
    """SafeLoader that refuses what PyYAML would take in silence or choke on.

    That is a key written twice, of which it would keep the last, a key that is no string, and
    aliases within aliases, which grow without a bound.
    """

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None:
            _check_size(node, {}, ())
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            if not isinstance(key, str):
                raise _error(f"the key {short(key)} is no name; put it in quotes", key_node)
            if key in seen:
                raise _error(f"the key {short(key)} is written twice", key_node)
            seen.add(key)
        return super().construct_mapping(node, deep=deep)


def _error(problem: str, node: yaml.Node) -> yaml.constructor.ConstructorError:
    return yaml.constructor.ConstructorError(None, None, problem, node.start_mark)


def _check_size(node: yaml.Node, sizes: dict[int, int], above: tuple[int, ...]) -> int:
    """Values in a node, each alias counted as what it stands for; known ones are not gone into."""
    if id(node) in above:
        raise _error("an alias stands within what it stands for", node)
    if len(above) > MOST_DEPTH:
        raise _error(f"it is nested more than {MOST_DEPTH} deep", node)
    if id(node) not in sizes:
        children: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            children = [child for pair in node.value for child in pair]
        elif isinstance(node, yaml.SequenceNode):
            children = node.value
        within = (*above, id(node))
        sizes[id(node)] = 1 + sum(_check_size(child, sizes, within) for child in children)
    if sizes[id(node)] > MOST_VALUES:
        raise _error(f"it holds more than {MOST_VALUES:,} values", node)
    return sizes[id(node)]


def parse(text: str) -> Any:
    """The value that a text stands for.

    Raises:
        yaml.YAMLError: it is not valid YAML, or is what `_StrictLoader` refuses.
    """
    try:
        return yaml.load(text, Loader=_StrictLoader)
    except (RecursionError, ValueError) as error:  # nested too deep; 2024-99-99, 1:2e400
        reason = "it is nested too deep" if isinstance(error, RecursionError) else str(error)
        raise yaml.YAMLError(reason) from error


def read_yaml(path: Path) -> Any:
    """The value that a file holds.

    Raises:
        UserError: it is missing, no text, too large, or not valid YAML.
    """
    try:
        with path.open("rb") as file:  # a pipe too, hence not by size
            content = file.read(MOST_BYTES + 1)
        text = content.decode("utf-8")
    except FileNotFoundError as error:
        raise UserError(
            f"{path} does not exist: run in the folder that holds params.yaml, name a params file "
            "with --params, or make a project with `parrot init DIR`"
        ) from error
    except IsADirectoryError as error:
        raise UserError(
            f"{path} is a folder: name a params file in it with --params, such as "
            f"{path / 'params.yaml'}"
        ) from error
    except UnicodeDecodeError as error:
        raise UserError(
            f"{path} is no text in UTF-8 ({error.reason} at byte {error.start}): name a params "
            "file, or save it as UTF-8"
        ) from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in a name
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise UserError(f"{short(str(path))} cannot be read: {reason}; name another") from error
    if len(content) > MOST_BYTES:
        raise UserError(
            f"{path} is larger than {MOST_BYTES:,} bytes, as no params file is: name another"
        )
    try:
        return parse(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}{explain(error)}; correct that line") from error


def check_plain(value: object, key: str) -> None:
    """See that a value, and all in it, is of YAML's plain kinds and within the bounds of these.

    Raises:
        UserError: a number is not finite or too large, or a value is a date or binary.
    """
    if isinstance(value, dict):
        for name, inner in value.items():
            check_plain(inner, f"{key}.{name}" if key else str(name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            check_plain(inner, f"{key}[{place}]")
    elif isinstance(value, float) and not math.isfinite(value):
        raise UserError(f"{key} should be a finite number, got {value}; correct it")
    elif isinstance(value, int) and abs(value) > MOST_INTEGER:
        raise UserError(
            f"{key} is an integer of {value.bit_length()} bits, which no stage can hold: the "
            f"largest is {MOST_INTEGER}"
        )
    elif not isinstance(value, str | int | float | bool | None):
        raise UserError(
            f"{key} is a {type(value).__name__} to YAML, which no value is: "
            "put it in quotes for a string, or correct it"
        )
