"""Whence a dataset came: the params of what made it, and what it was edited from."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from parrot_data.stores.manifest import Ancestor, Manifest, Parent


@dataclass(frozen=True)
class Origin:
    """What a manifest says of whence its dataset came; see `parrot_data.stores.manifest`."""

    params: Mapping[str, Any]
    seed: int
    parents: Sequence[Parent] = ()
    ancestors: Sequence[Ancestor] = ()


def behind(sources: Iterable[tuple[str, Manifest]]) -> list[Ancestor]:
    """What sources were edited from, then what is behind that; each step of the lineage once.

    Args:
        sources: SHA-256 of each one's manifest.json, and the manifest.
    """
    nearest: list[Ancestor] = []
    farther: list[Ancestor] = []
    for sha256, manifest in sources:
        nearest += [Ancestor(**parent.model_dump(), child=sha256) for parent in manifest.parents]
        farther += manifest.ancestors
    steps: dict[tuple[str, str], Ancestor] = {}
    for step in (*nearest, *farther):
        steps.setdefault((step.sha256, step.child), step)
    return list(steps.values())
