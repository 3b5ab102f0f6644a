"""Stage `report`: one page of the data, the prior and the agents, and the same as numbers."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from parrot_data.errors import UserError
from parrot_data.stores.manifest import ShardsManifest, load_manifest
from parrot_data.stores.outputs.layout import output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import read_json, write_json
from parrot_data.stores.seal import check_seal
from parrot_data.stores.zarr_store import zarr_of
from parrot_models.report_page import figures, sections, tables
from parrot_models.report_page.aggregate_tables import as_json
from parrot_models.report_page.aggregates import Aggregates, Bootstrap, aggregate
from parrot_models.report_page.audited import Audited, read_audited
from parrot_models.report_page.audited_section import audited_json, audited_sections, audited_text
from parrot_models.report_page.headlines import not_judged, prior_sentence, tiles
from parrot_models.report_page.judged import Judgement, in_words, read_judgement
from parrot_models.report_page.learning import Run, RunKey, read_columns
from parrot_models.report_page.page import Page, render
from parrot_models.report_page.params import ReportParams
from parrot_models.report_page.parts import TrainedPart, read_parts, with_prior
from parrot_models.report_page.reach import with_reach
from parrot_models.report_page.runs import read_runs
from parrot_models.report_page.sources import source_hashes
from parrot_models.report_page.values import values_shown

__all__ = ["ReportParams", "report"]

SUMMARY, METRICS = "summary.json", "metrics.json"
FIGURES = (
    *("audited", "contact_sheet", "improvement", "interquartile_means", "learning_curves"),
    *("likelihood", "performance_profiles", "rollouts", "*_reconstructions"),
)
OUTPUT = output_of(
    "report", SUMMARY, keys=("final", "parts", "prior", "runs"),
    files=(
        *("index.html", "curves.csv", "table.txt", METRICS),
        *(f"figures/{name}.png" for name in FIGURES),
    ),
)  # fmt: skip
HISTORY = ("step", "train_log_prob_per_dim", "validation_log_prob_per_dim")
LIKELIHOOD = "log_prob_per_dim"
# Success of policies that judge rolls out, as the summary names it.
ROLLOUTS = {
    "rollout_success_rate": "sampled",
    "mode_success_rate": "mode",
    "random_success_rate": "random",
}
COMPARED = ("rollout_success_rate", "mode_success_rate")  # of those, by DVC


class _Read(NamedTuple):
    """What the inputs hold, and what follows from it."""

    manifest: ShardsManifest
    metrics: dict[str, Any]
    judgement: Judgement
    trained: Sequence[TrainedPart]
    runs: Sequence[Run]
    bootstrap: Bootstrap
    found: Aggregates
    audited: Audited | None


def report(
    params: ReportParams,
    wanted: Sequence[tuple[str, str, str]],
    data: Path,
    kept: Path,
    prior: Path,
    parts: Mapping[str, Path],
    judged: Path,
    runs: Path,
    out: Path,
    *,
    audited: Path | None = None,
) -> str:
    """Write index.html, figures/, summary.json, metrics.json, curves.csv and table.txt into `out`.

    Args:
        params: see `ReportParams`.
        wanted: (task, method, seed) of every run to report, as the matrix of params.yaml has them.
        data: output of the stage shard.
        kept: output of the stage filter.
        prior: output of the stage train_prior.
        parts: outputs of the stages train_flow and pretrain, by name of the part.
        judged: folder of the judgements, as judged/<name> of models/<name>; a model that has
            none there is reported as not judged.
        runs: folder of the runs, as runs/<task>/<method>/<seed>.
        out: folder to write.
        audited: an audit of the prior, to be held against what the runs did; None without one.

    Returns:
        The results as text tables.

    Raises:
        UserError: an input is missing, unreadable or was changed, a run lies there that nobody
            wants, or the audit is of another prior.
    """
    inputs = [data, kept, prior, *parts.values(), judged, runs, *([audited] if audited else [])]
    with open_work(out, OUTPUT, {"stage": "report"}, inputs) as work:
        bootstrap = Bootstrap(params.bootstrap_draws, params.bootstrap_seed)
        found = read_runs(runs, [RunKey(*key) for key in wanted])
        judgement, of_parts = read_judgement(judged, prior), read_parts(parts, judged)
        by_part = {"prior": judgement, **{part.name: part.judgement for part in of_parts}}
        results = with_reach(found, by_part)
        read = _Read(
            manifest=load_manifest(data, "shards"),
            metrics=_prior_metrics(prior),
            judgement=judgement,
            trained=with_prior(prior, judgement, of_parts),
            runs=results,
            bootstrap=bootstrap,
            found=aggregate(results, bootstrap),
            audited=read_audited(audited, prior, results) if audited else None,
        )
        judgements = [judgement, *(part.judgement for part in read.trained[1:])]
        hashes = source_hashes(data, kept, prior, parts, judgements, results, audited)
        images = _images(params, read.manifest, data, prior, judgement)
        values = values_shown(read.manifest, prior, parts, results)
        page = _page(read, images, read_json(kept / "summary.json"), hashes, values)
        text = _text(read)
        texts = {"curves.csv": tables.curves_csv(results), "table.txt": f"{text}\n"}
        _write(work.folder, page, texts)
        write_json(work.folder / METRICS, _metrics(read))
        write_json(work.folder / SUMMARY, _summary(read))
        work.publish()
    return text


def _page(
    read: _Read,
    images: Mapping[str, bytes],
    kept: Mapping[str, Any],
    hashes: Mapping[str, str],
    values: Sequence[tuple[str, str]],
) -> Page:
    manifest, judgement = read.manifest, read.judgement
    audited, correlations = audited_sections(read.audited)
    return Page(
        tiles=tiles(manifest, judgement, read.runs, read.found),
        images=images,
        results=sections.results_section(read.runs),
        aggregates=sections.aggregates_section(read.found, read.bootstrap),
        audited=audited,
        correlations=correlations,
        videos=_videos(read.runs),
        not_judged="" if judgement.policies else not_judged(judgement),
        prior_rows=tables.metric_rows(read.metrics)
        + tables.metric_rows(judgement.metrics, "judged: "),
        parts=sections.parts_section(read.trained),
        data_rows=tables.data_rows(kept),
        spec_rows=tables.spec_rows(manifest.spec, manifest.statistics),
        sheet_caption=_sizes(manifest),
        hashes=hashes,
        values=values,
    )


def _text(read: _Read) -> str:
    """The results for the terminal."""
    texts = (
        tables.results_as_text(read.runs),
        sections.aggregates_text(read.found, read.bootstrap),
        audited_text(read.audited),
        prior_sentence(read.metrics, read.judgement),
    )
    return "\n\n".join(filter(None, texts))


def _prior_metrics(prior: Path) -> dict[str, Any]:
    path = prior / "metrics.json"
    metrics: dict[str, Any] = read_json(path)
    check_seal(prior, "parrot train-prior")
    if LIKELIHOOD not in metrics:
        raise UserError(f"{path} lacks {LIKELIHOOD}: run `parrot train-prior` again")
    return metrics


def _images(
    params: ReportParams,
    manifest: ShardsManifest,
    data: Path,
    prior: Path,
    judgement: Judgement,
) -> dict[str, bytes]:
    """PNG bytes by name; no rollouts where none were judged, no sheet of data without images."""
    history = read_columns(prior / "history.csv", HISTORY)
    drawn = {"likelihood": figures.likelihood(*(history[name] for name in HISTORY))}
    rates = {
        policy: {in_words(name): value for name, value in judgement.rates(policy).items()}
        for policy in judgement.policies
    }
    if rates:
        drawn["rollouts"] = figures.policies_beside(rates)
    if manifest.spec.images:
        episodes = zarr_of(data, manifest)
        tasks = [entry.task for entry in manifest.entries(data)]
        chosen = _spread(tasks, params.contact_sheet_episodes)
        drawn["contact_sheet"] = figures.contact_sheet(
            [
                [episodes[position].observations[name] for name in manifest.spec.images]
                for position in chosen
            ],
            params.contact_sheet_frames,
            params.contact_sheet_columns,
        )
    return drawn


def _sizes(manifest: ShardsManifest) -> str:
    """What images agents see, in words."""
    images = manifest.spec.images.items()
    return ", ".join(f"{name}, {each.width} by {each.height} pixels" for name, each in images)


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


def _videos(runs: Sequence[Run]) -> list[tuple[str, bytes]]:
    """One a method and task, of its first seed: more would tell little, and weigh a lot."""
    shown = [group[0] for group in tables.grouped(runs).values()]
    return [
        (" ".join((*run.key[:2], "seed", run.key.seed)), run.video.read_bytes())
        for run in shown
        if run.video
    ]


def _write(work: Path, page: Page, texts: Mapping[str, str]) -> None:
    of_sections = (page.results, page.aggregates, page.audited, page.parts)
    drawn = {figure.name: figure.png for part in of_sections for figure in part.figures}
    # What an interrupted report left must not be published with this one
    shutil.rmtree(work / "figures", ignore_errors=True)
    (work / "figures").mkdir()
    for name, png in (*page.images.items(), *drawn.items()):
        (work / "figures" / f"{name}.png").write_bytes(png)
    for file, text in {"index.html": render(page), **texts}.items():
        (work / file).write_text(text, encoding="utf-8")


def _summary(read: _Read) -> dict[str, object]:
    # Others script against the keys of `runs` and `prior`: they are a contract. Null: not judged
    return {
        "runs": [tables.run_entry(run) for run in read.runs],
        "final": tables.final_success(read.runs),
        "statistics": as_json(read.found, read.bootstrap),
        "prior": {
            LIKELIHOOD: read.metrics[LIKELIHOOD],
            **{name: read.judgement.success(policy) for name, policy in ROLLOUTS.items()},
        },
        "parts": [
            {"part": part.name, **part.metrics, "judged": part.judgement.metrics}
            for part in read.trained[1:]
        ],
        **({"audited": audited_json(read.audited)} if read.audited else {}),
    }


def _metrics(read: _Read) -> dict[str, object]:
    """The few numbers by which DVC compares experiments; what is not known is left out."""
    rates = {name: read.judgement.success(ROLLOUTS[name]) for name in COMPARED}
    known = {name: rate for name, rate in rates.items() if rate is not None}
    prior = {LIKELIHOOD: read.metrics[LIKELIHOOD], **known}
    return {"agents": tables.compared(read.runs), "prior": prior}
