"""Rows that an earlier call measured with the same code, values and machine: kept, not repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import benchmarks
import parrot_data
import parrot_models
from benchmarks.row import Figures, Result, Row
from benchmarks.setting import Scale, Values
from benchmarks.table import plain
from parrot_data.stores.publish import json_text, read_json, sha256_file, sha256_sources

PASSING = ("load_before",)  # facts about a machine that change from minute to minute
Key = tuple[str, str, str]  # group, name and rival: no two rows share all three


def key_of(group: str, row: Row) -> Key:
    """What tells a row from all others."""
    return group, row.name, row.rival


def fingerprint(values: Values, scale: Scale) -> str:
    """Twelve digits of a hash of all that figures depend on, the machine apart."""
    folders = [Path(package.__path__[0]) for package in (parrot_data, parrot_models, benchmarks)]
    *packages, own = folders
    parts: dict[str, object] = {folder.name: sha256_sources(folder) for folder in packages}
    # Not all files of this package: its results lie in it.
    parts[own.name] = {str(p.relative_to(own)): sha256_file(p) for p in sorted(own.rglob("*.py"))}
    parts["values"] = {name: section.model_dump() for name, section in vars(values).items()}
    parts["scale"] = {name: str(value) for name, value in vars(scale).items()}
    return hashlib.sha256(json_text(parts).encode()).hexdigest()[:12]


def earlier_results(
    path: Path, about: Mapping[str, Mapping[str, Any]], rows: Sequence[tuple[str, Row]]
) -> dict[Key, Result]:
    """Rows of a results.json that need not be measured again.

    Args:
        path: of the file, which may not be there.
        about: what this call would say of itself; rows of another fingerprint or machine, and rows
            that could not be measured, are left out.
        rows: all there are, each with its group.

    Returns:
        By key, in the order of `rows`.
    """
    if not path.exists():
        return {}
    found: dict[str, Any] = read_json(path)
    if any(_lasting(found.get(part)) != _lasting(about[part]) for part in ("measured", "machine")):
        return {}
    said = {(row["group"], row["name"], row["rival"]): row for row in found["rows"]}
    results = {key_of(*row): _result(*row, said.get(key_of(*row))) for row in rows}
    return {key: result for key, result in results.items() if result.figures is not None}


def _result(group: str, row: Row, said: Mapping[str, Any] | None) -> Result:
    if said is None or said["ours"] is None:
        return Result(group, row, None)
    result = Result(group, row, Figures(said["ours"], said["rivals"], said["note"]))
    return result if plain(result) == said else Result(group, row, None)


def _lasting(facts: Mapping[str, Any] | None) -> dict[str, Any]:
    return {name: fact for name, fact in (facts or {}).items() if name not in PASSING}
