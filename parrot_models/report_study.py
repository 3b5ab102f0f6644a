"""Stage `report_study`: a page of one study, and the same as numbers."""

from __future__ import annotations

from pathlib import Path

from parrot_data.errors import UserError
from parrot_data.stores.outputs.layout import Output, output_of
from parrot_data.stores.outputs.work import open_work
from parrot_data.stores.publish import sha256_file, write_json
from parrot_models.report_page.compared import dataset_size, mismatch
from parrot_models.report_page.explored import exploration
from parrot_models.report_page.params import StudyParams
from parrot_models.report_page.study_page import Study, render_study
from parrot_models.report_page.tables import as_text

__all__ = ["StudyParams", "report_study"]

COMPARISONS = {"dataset-size": dataset_size, "mismatch": mismatch}
KINDS = (*COMPARISONS, "exploration")
SUMMARY = "summary.json"
FIGURES = ("agents", "coverage", "dataset_size", "objects", "rollouts", "safety")


def report_study(kind: str, params: StudyParams | None, folder: Path, out: Path) -> str:
    """Write index.html, figures/, summary.json and table.txt of a study into `out`.

    Args:
        kind: "dataset-size", "mismatch" or "exploration".
        params: what is compared; not read for "exploration".
        folder: of the study, with what its pipeline made.
        out: folder to write.

    Returns:
        The table as text.

    Raises:
        UserError: no such kind, something of the study is missing, or a run is left over.
    """
    study = _read(kind, params, folder)
    table = as_text(study.header, study.rows, study.num_left)
    hashes = {name: sha256_file(path) for name, path in study.sources.items()}
    fingerprint = {"stage": "report_study", "kind": kind}
    with open_work(out, _output_of(study), fingerprint, study.sources.values()) as work:
        page = work.folder
        (page / "index.html").write_text(render_study(study, hashes), encoding="utf-8")
        (page / "figures").mkdir(exist_ok=True)
        for figure in study.figures:
            (page / "figures" / f"{figure.name}.png").write_bytes(figure.png)
        write_json(page / SUMMARY, study.summary)
        (page / "table.txt").write_text(f"{table}\n", encoding="utf-8")
        work.publish()
    return table


def _output_of(study: Study) -> Output:
    """An output of the same kind of study: its numbers have the same keys."""
    figures = (f"figures/{name}.png" for name in FIGURES)
    files = ("index.html", "table.txt", *figures)
    return output_of("report-study", SUMMARY, keys=tuple(study.summary), files=files)


def _read(kind: str, params: StudyParams | None, folder: Path) -> Study:
    if kind == "exploration":
        return exploration(folder)
    if kind not in COMPARISONS:
        raise UserError(f"there is no study {kind!r}; choose one of {', '.join(KINDS)}")
    if params is None:
        raise UserError(f"the study {kind} needs the section study of its params.yaml")
    return COMPARISONS[kind](folder, params.priors, params.tasks, params.seeds)
