"""The params behind a report, as what was made with them records them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from parrot_data.stores.manifest import ShardsManifest
from parrot_data.stores.publish import read_json
from parrot_models.report_page.learning import Run

CONFIG = "config.json"
OF_RUNS = ("agent", "environment")  # what a run records of its params


def values_shown(
    manifest: ShardsManifest, prior: Path, parts: Mapping[str, Path], runs: Sequence[Run]
) -> list[tuple[str, str]]:
    """(title, JSON text) of the data, the prior, the other parts and the runs.

    Runs of the same values are told of once, by methods where all tasks and seeds share them.
    """
    shown = [("Params of the data", _text(manifest.params))]
    for title, folder in {"the prior": prior, **parts}.items():
        if params := _config(folder).get("params"):
            shown.append((f"Params of {title}", _text(params)))
    of_runs: dict[str, list[Run]] = {}
    for run in runs:
        config = _config(run.folder)
        if params := {name: config[name] for name in OF_RUNS if name in config}:
            of_runs.setdefault(_text(params), []).append(run)
    return [*shown, *((f"Params of {_named(some, runs)}", text) for text, some in of_runs.items())]


def _named(some: Sequence[Run], runs: Sequence[Run]) -> str:
    """Runs by what tells them from the others: their methods, or each by its key."""
    if len(some) == len(runs):
        return "all runs"
    methods = list(dict.fromkeys(run.key.method for run in some))
    if len(some) == sum(run.key.method in methods for run in runs):
        return f"runs of {', '.join(methods)}"
    return ", ".join("/".join(run.key) for run in some)


def _config(folder: Path) -> dict[str, Any]:
    path = folder / CONFIG
    config: dict[str, Any] = read_json(path) if path.is_file() else {}
    return config


def _text(values: object) -> str:
    return json.dumps(values, indent=2, sort_keys=True)
