"""Datasets that differ in known ways."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from synthetic import write_raw

from parrot_data.diff import Difference
from parrot_data.episodes.episode import Episode
from parrot_data.stores.manifest import load_manifest, save_manifest
from parrot_data.stores.tar_shards import read_episodes


def with_changed(episode: Episode, name: str, change: Callable[[np.ndarray], object]) -> Episode:
    """The episode with an array of `Episode.arrays` changed in place."""
    array = episode.arrays()[name].copy()
    change(array)
    room, _, key = name.partition(".")
    if not key:
        return replace(episode, **{name: array})
    field = "observations" if room == "observation" else "privileged"
    return replace(episode, **{field: {**getattr(episode, field), key: array}})


def rewritten(folder: Path, out: Path, change: Callable[[Episode], Episode]) -> Path:
    """A raw dataset with changed episodes, its hashes made anew: whole, as `verify` sees it."""
    manifest = load_manifest(folder, "episodes")
    episodes = [change(episode) for episode in read_episodes(folder, manifest.spec)]
    write_raw(out, episodes, manifest.spec, seed=manifest.seed)
    return with_params(out, manifest.params)


def with_params(folder: Path, params: dict[str, Any]) -> Path:
    manifest = load_manifest(folder, "episodes")
    save_manifest(folder, manifest.model_copy(update={"params": params}))
    return folder


def mirrored(found: Difference) -> dict[str, Any]:
    """A difference as JSON, A for B and B for A."""
    value = found.as_json()
    episodes = value["episodes"]
    return {
        "a": value["b"],
        "b": value["a"],
        "episodes": {
            "num_common": episodes["num_common"],
            "added": episodes["removed"],
            "removed": episodes["added"],
            "changed": swapped(episodes["changed"]),
        },
        "tasks": swapped(value["tasks"]),
        "arrays": [
            {**row, "difference": None if row["difference"] is None else -row["difference"]}
            for row in swapped(value["arrays"])
        ],
        "params": swapped(value["params"]),
        "spec": swapped(value["spec"]),
    }


def swapped(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    other = {"a": "b", "b": "a"}
    return [{other.get(key, key): value for key, value in row.items()} for row in rows]
