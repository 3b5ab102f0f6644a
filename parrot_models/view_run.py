"""Look at a run of finetune: its curve, its film and its numbers, beside demonstrations."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

import parrot_models.report_page.page as report_page
from parrot_data.episodes.episode import Episode
from parrot_data.stores.manifest import MANIFEST, Manifest, load_any_manifest
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.picked import Part, Picked
from parrot_data.stores.publish import read_json, sha256_file, write_json
from parrot_data.stores.seal import check_seal
from parrot_data.stores.sources import code_of
from parrot_models.methods.runs import (
    COMMAND,
    CONFIG,
    CURVE,
    EVALUATION,
    FILM,
    METRICS,
    RunConfig,
    read_config,
)
from parrot_models.report_page.figures import contact_sheet
from parrot_models.report_page.learning import band_of, read_curve
from parrot_models.report_page.method_figures import learning_curves, lines_of

PAGE, MARKER = "index.html", "view.json"
OUTPUT = output_of("view", MARKER, keys=("viewed_run",), files=(PAGE,))
NUM_DEMONSTRATIONS, NUM_FRAMES, NUM_COLUMNS = 6, 6, 2
MOST_NAMED = 8  # tasks of the data, in a sentence


def view_run(
    run: Path,
    out: Path,
    *,
    dataset: Path | None = None,
    families: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Write one self-contained page that shows a run; the same bytes for the same run.

    Args:
        run: folder that finetune wrote.
        out: folder of the page, replaced at the end.
        dataset: episodes or shards, some of whose successes at the run's task, or else at its
            family, are shown beside it, if there are any and they have images.
        families: of tasks that have one, by their names, such as "pick" of "pick-bar": data of it
            show the same kind of task in other scenes.

    Returns:
        task, method, success_rate and num_demonstrations.

    Raises:
        UserError: run or dataset is missing or damaged, or `open_work` refuses `out`.
    """
    check_seal(run, COMMAND)
    config, metrics = read_config(run), read_json(run / METRICS)
    manifest = None if dataset is None else load_any_manifest(dataset)
    hashes = {name: sha256_file(run / name) for name in (CONFIG, METRICS, CURVE, EVALUATION)}
    if dataset is not None:
        hashes[f"{MANIFEST} of the data"] = sha256_file(dataset / MANIFEST)
    fingerprint = {"hashes": hashes, "code": code_of(__name__)}
    with open_work(out, OUTPUT, fingerprint, [run, *([dataset] if dataset else [])]) as work:
        shown, note = list[Episode](), ""
        if dataset is not None and manifest is not None:
            tasks = [config.task, *filter(None, [(families or {}).get(config.task)])]
            shown, note = _demonstrations(dataset, manifest, tasks)
        values = _values(run, config, metrics, hashes, shown)
        values["note"] = note
        (work.folder / PAGE).write_text(_filled(values), encoding="utf-8")
        write_json(work.folder / MARKER, {"viewed_run": hashes})
        work.publish()
    return {
        "task": config.task,
        "method": config.method,
        "success_rate": metrics["success_rate"],
        "num_demonstrations": len(shown),
    }


def _demonstrations(
    dataset: Path, manifest: Manifest, tasks: Sequence[str]
) -> tuple[list[Episode], str]:
    """Successes at the first of these tasks that the data have any of, and why there are none."""
    if not manifest.spec.images:
        return [], "The data have no images to show demonstrations by."
    found = Counter(entry.task for entry in manifest.entries(dataset) if entry.success)
    task = next((task for task in tasks if task in found), None)
    if task is not None:
        return list(islice(_successes(dataset, manifest, task), NUM_DEMONSTRATIONS)), ""
    there = sorted(found)[:MOST_NAMED]
    named = f"their successes are at {', '.join(there)}" if there else "nor of any other task"
    more = f" and {len(found) - len(there)} more" if len(found) > len(there) else ""
    return [], f"The data hold no successful episode of {' or '.join(tasks)}; {named}{more}."


def _successes(dataset: Path, manifest: Manifest, task: str) -> Iterator[Episode]:
    entries = manifest.entries(dataset)
    is_picked = bytes(entry.task == task and entry.success for entry in entries)
    return Picked([Part(dataset, manifest, is_picked)]).episodes()


def _values(
    run: Path,
    config: RunConfig,
    metrics: Mapping[str, Any],
    hashes: Mapping[str, str],
    shown: list[Episode],
) -> dict[str, Any]:
    band = band_of([read_curve(run / CURVE)])
    curve = learning_curves({config.task: {config.method: band}}, lines_of([config.method]))
    successes = read_json(run / EVALUATION)["successes"]
    images = [
        [episode.observations[name] for name in sorted(_images(episode))] for episode in shown
    ]
    return {
        "title": f"{config.task}, learned by {config.method}, seed {config.seed}",
        "tiles": [
            (f"{metrics['success_rate']:.2f}", "success, frozen"),
            (f"{metrics['untrained_success_rate']:.2f}", "success before learning"),
            (f"{metrics['env_steps']:,}", "steps in the environment"),
        ],
        "curve": report_page.inline("png", curve),
        "film": report_page.inline("gif", (run / FILM).read_bytes())
        if (run / FILM).exists()
        else "",
        "demonstrations": report_page.inline("png", contact_sheet(images, NUM_FRAMES, NUM_COLUMNS))
        if images
        else "",
        "num_demonstrations": len(images),
        "demonstrated_task": shown[0].task if shown else "",
        "num_successes": sum(successes),
        "num_evaluated": len(successes),
        "marks": _marks(successes),
        "rows": list(_rows(metrics)),
        "hashes": hashes,
    }


def _marks(successes: Sequence[bool]) -> str:
    """A mark for each, ten by ten."""
    marks = ["✓" if success else "✗" for success in successes]
    return " ".join("".join(marks[at : at + 10]) for at in range(0, len(marks), 10))


def _images(episode: Episode) -> list[str]:
    return [name for name, array in episode.observations.items() if array.ndim == 4]


def _rows(values: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """Nested values as (dotted name, text)."""
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _rows(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", f"{value:.4g}" if isinstance(value, float) else str(value)


def _filled(values: Mapping[str, Any]) -> str:
    folders = [Path(__file__).parent / "viewing", Path(report_page.__file__).parent]
    environment = Environment(
        loader=FileSystemLoader(folders), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("run.html").render(**values) + "\n"
