"""Stage `report`: one page of the data, the prior and the agents, and the same as numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from parrot_data.errors import UserError
from parrot_data.stores.manifest import ShardsManifest, load_manifest
from parrot_data.stores.publish import open_work, publish, read_json, sha256_file, write_json
from parrot_data.stores.zarr_store import ZarrEpisodes
from parrot_models.report_page import figures, tables
from parrot_models.report_page.learning import Run, RunKey, read_columns
from parrot_models.report_page.page import Page, render
from parrot_models.report_page.runs import read_runs

HISTORY = ("step", "train_log_prob_per_dim", "validation_log_prob_per_dim")
PRIOR_SUMMARY = ("log_prob_per_dim", "rollout_success_rate", "random_success_rate")
PRIOR_NEEDED = (*PRIOR_SUMMARY, "rollout_touch_rate", "random_touch_rate")


class ReportParams(BaseModel):
    """Section `report` of params.yaml.

    Attributes:
        contact_sheet_episodes: kept episodes pictured, spread evenly over the tasks.
        contact_sheet_frames: images of each, from the first to the last.
        contact_sheet_columns: episodes side by side.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")

    contact_sheet_episodes: int = Field(ge=1, le=200)
    contact_sheet_frames: int = Field(ge=2, le=26)
    contact_sheet_columns: int = Field(ge=1, le=4)


def report(
    params: ReportParams,
    wanted: Sequence[tuple[str, str, str]],
    data: Path,
    kept: Path,
    prior: Path,
    runs: Path,
    out: Path,
) -> str:
    """Write index.html, figures/, summary.json, curves.csv and table.txt into `out`.

    Args:
        params: see `ReportParams`.
        wanted: (task, method, seed) of every run to report, as the matrix of params.yaml has them.
        data: output of the stage shard.
        kept: output of the stage filter.
        prior: output of the stage train_prior.
        runs: folder of the runs, as runs/<task>/<method>/<seed>.
        out: folder to write.

    Returns:
        The results as a text table.

    Raises:
        UserError: an input is missing or unreadable, or a run lies there that nobody wants.
    """
    results = read_runs(runs, [RunKey(*key) for key in wanted])
    manifest = load_manifest(data, "shards")
    metrics = _prior_metrics(prior)
    pictures = _pictures(params, manifest, data, prior, metrics, results)
    table = tables.as_text(tables.HEADER, tables.result_rows(results), num_left=3)
    text = f"{table}\n\n{_prior_sentence(metrics)}"
    page = Page(
        tiles=_tiles(manifest, metrics, results),
        pictures=pictures,
        result_header=tables.HEADER,
        result_rows=tables.result_rows(results),
        videos=[
            (" ".join((*run.key[:2], "seed", run.key.seed)), run.video.read_bytes())
            for run in results
            if run.video
        ],
        prior_rows=tables.metric_rows(metrics),
        data_rows=tables.data_rows(read_json(kept / "summary.json")),
        hashes=_hashes(data, kept, prior, results),
        values=[("Params of the data", json.dumps(manifest.params, indent=2, sort_keys=True))],
    )
    work = open_work(out, {"stage": "report"})
    (work / "index.html").write_text(render(page), encoding="utf-8")
    (work / "figures").mkdir(exist_ok=True)
    for name, picture in pictures.items():
        (work / "figures" / f"{name}.png").write_bytes(picture)
    write_json(work / "summary.json", _summary(metrics, results))
    (work / "curves.csv").write_text(tables.curves_csv(results), encoding="utf-8")
    (work / "table.txt").write_text(text + "\n", encoding="utf-8")
    publish(work, out)
    return text


def _prior_metrics(prior: Path) -> dict[str, Any]:
    path = prior / "metrics.json"
    metrics: dict[str, Any] = read_json(path)
    missing = [name for name in PRIOR_NEEDED if name not in metrics]
    if missing:
        raise UserError(f"{path} lacks {', '.join(missing)}: run `parrot train-prior` again")
    return metrics


def _pictures(
    params: ReportParams,
    manifest: ShardsManifest,
    data: Path,
    prior: Path,
    metrics: dict[str, Any],
    runs: Sequence[Run],
) -> dict[str, bytes]:
    history = read_columns(prior / "history.csv", HISTORY)
    rates = {
        what: (metrics[f"rollout_{kind}_rate"], metrics[f"random_{kind}_rate"])
        for what, kind in (("touches an object", "touch"), ("succeeds", "success"))
    }
    episodes = ZarrEpisodes(data / manifest.zarr)
    tasks = [entry.task for entry in manifest.entries(data)]
    chosen = _spread(tasks, params.contact_sheet_episodes)
    return {
        "learning_curves": figures.learning_curves(tables.bands(runs)),
        "likelihood": figures.likelihood(*(history[name] for name in HISTORY)),
        "rollouts": figures.prior_against_random(rates),
        "contact_sheet": figures.contact_sheet(
            [episodes[position].images for position in chosen],
            params.contact_sheet_frames,
            params.contact_sheet_columns,
        ),
    }


def _spread(tasks: Sequence[str], num_wanted: int) -> list[int]:
    """Positions of about `num_wanted` episodes: as many of each task, evenly over the dataset."""
    names = sorted(set(tasks))
    share = max(1, num_wanted // len(names))
    chosen: list[int] = []
    for name in names:
        positions = [position for position, task in enumerate(tasks) if task == name]
        places = np.linspace(0, len(positions) - 1, min(share, len(positions))).round()
        chosen += [positions[int(place)] for place in places]
    return chosen


def _summary(metrics: dict[str, Any], runs: Sequence[Run]) -> dict[str, object]:
    # Others script against the keys of `runs` and `prior`: they are a contract.
    return {
        "runs": [tables.run_entry(run) for run in runs],
        "final": tables.final_success(runs),
        "prior": {name: metrics[name] for name in PRIOR_SUMMARY},
    }


def _prior_sentence(metrics: dict[str, Any]) -> str:
    return (
        f"Prior: {metrics['log_prob_per_dim']:.2f} nats per dimension on held-out episodes; "
        f"rollouts on unseen objects succeed in {metrics['rollout_success_rate']:.1%} of scenes, "
        f"uniform random actions in {metrics['random_success_rate']:.1%}."
    )


def _tiles(
    manifest: ShardsManifest, metrics: dict[str, Any], runs: Sequence[Run]
) -> list[tuple[str, str]]:
    tiles = [
        (f"{manifest.num_episodes:,}", f"kept episodes, {manifest.num_transitions:,} transitions"),
        (f"{metrics['rollout_success_rate']:.0%}", "of the prior's rollouts succeed"),
        (f"{metrics['random_success_rate']:.0%}", "of uniform random ones do"),
    ]
    for task, methods in tables.final_success(runs).items():
        for method, values in methods.items():
            tiles.append((f"{values['success_rate']:.0%}", f"final success: {method} on {task}"))
    return tiles


def _hashes(data: Path, kept: Path, prior: Path, runs: Sequence[Run]) -> dict[str, str]:
    """SHA-256 of every input, under names that do not depend on where the inputs lie.

    The shards' manifest holds the hashes of the shards, and of what they were made from.
    """
    named = {"shards/manifest.json": data / "manifest.json"}
    folders = {"kept": kept, "prior": prior}
    folders |= {"/".join(("runs", *run.key)): run.folder for run in runs}
    for label, folder in folders.items():
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        named |= {f"{label}/{path.relative_to(folder).as_posix()}": path for path in files}
    return {name: sha256_file(path) for name, path in named.items()}
