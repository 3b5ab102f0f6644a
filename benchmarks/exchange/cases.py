"""What the checks against other libraries export, and the report of what these say of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import typer

from benchmarks.exchange.made_up import made_up
from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec, ImageSpec, ObservationSpec, VectorSpec
from parrot_data.stores.manifest import load_manifest
from parrot_data.stores.tar_shards import read_episodes

Observations = Mapping[str, ObservationSpec]
CAMERAS: Observations = {
    "front": ImageSpec(height=40, width=64),
    "wrist": ImageSpec(height=33, width=32),
    "joints": VectorSpec(dim=6),
}
VECTORS: Observations = {"state": VectorSpec(dim=5), "goal": VectorSpec(dim=1)}


@dataclass(frozen=True)
class Case:
    """Episodes to export.

    Attributes:
        name: of the folder.
        title: for the report.
        spec: of the episodes.
        episodes: a few.
    """

    name: str
    title: str
    spec: EpisodeSpec
    episodes: list[Episode]


AnyCase = TypeVar("AnyCase", bound=Case)


def generated(folder: Path) -> Case:
    """What `parrot generate` wrote."""
    manifest = load_manifest(folder, "episodes")
    made = list(read_episodes(manifest.tar_paths(folder), manifest.spec))
    return Case("generated", "episodes of `parrot generate`", manifest.spec, made)


def made_up_cases(rng_of: Callable[[str], np.random.Generator]) -> list[Case]:
    """Two cameras and vectors alone, of numbers that the chance for each name decides."""
    wanted = [
        ("cameras", "two cameras, 14 unbounded actions", CAMERAS, 14),
        ("vectors", "vectors alone, one action", VECTORS, 1),
    ]
    return [
        Case(name, title, *made_up(rng_of(name), observations, action_dim))
        for name, title, observations, action_dim in wanted
    ]


def report(
    title: str,
    cases: Sequence[AnyCase],
    found: Mapping[str, Any],
    work: Path,
    imported: Callable[[Path, AnyCase], str],
) -> list[str]:
    """Lines on what a library said of every export, and on what it wrote itself.

    Args:
        title: of the report.
        cases: what was exported, each into a folder of its name.
        found: what the library said, by folder.
        work: where these folders lie.
        imported: a sentence on what the library wrote of a case into a folder.
    """
    versions = ", ".join(f"{name} {each}" for name, each in found["versions"].items())
    lines = [title, versions]
    for case in cases:
        said = found["said"].get(str(work / case.name))
        if said is None:
            continue
        lines += ["", f"{case.title}:", *(f"- {sentence}" for sentence in said)]
        lines.append(f"- {imported(work / case.name / 'own', case)}")
    if "different" in found:
        return [*lines, "", f"DIFFERENT: {found['different']}"]
    return [*lines, "", "Nothing differs."]


def tell(lines: Sequence[str], found: Mapping[str, Any], out: Path) -> None:
    """Write the report, print it, and end: with 1 where something differs."""
    out.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    typer.echo(out.read_text(encoding="utf-8"), nl=False)
    raise typer.Exit("different" in found)
