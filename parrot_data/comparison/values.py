"""JSON values beside each other: what differs, by dotted names."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class ValueChange:
    """A value that differs.

    Attributes:
        name: dotted, such as "generate.tasks.pick".
        values: by "a" and "b"; only one of them where the other has no such value.
    """

    name: str
    values: Mapping[str, Any]


def changed_values(
    a: Mapping[str, Any], b: Mapping[str, Any], prefix: str = ""
) -> list[ValueChange]:
    """What differs between two mappings of JSON values, by name; lists are one value each."""
    changes: list[ValueChange] = []
    for key in sorted(a.keys() | b.keys()):
        name = f"{prefix}{key}"
        values = {side: each[key] for side, each in (("a", a), ("b", b)) if key in each}
        mappings = [value for value in values.values() if isinstance(value, Mapping)]
        # A section that one of them lacks is told value by value, too
        if mappings and len(mappings) == len(values) and any(mappings):
            changes += changed_values(values.get("a", {}), values.get("b", {}), f"{name}.")
        elif len(values) == 1 or _spelt(values["a"]) != _spelt(values["b"]):
            changes.append(ValueChange(name, values))
    return changes


def _spelt(value: object) -> str:
    return json.dumps(value, sort_keys=True)  # 1 and true are equal in Python
