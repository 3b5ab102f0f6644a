"""The page's sections on agents and on what they start from: what is read, as what is shown."""

from __future__ import annotations

from collections.abc import Sequence

from parrot_models.report_page import aggregate_tables, method_figures, tables
from parrot_models.report_page.aggregates import Aggregates, Bootstrap
from parrot_models.report_page.learning import Run
from parrot_models.report_page.page import Figure, Section
from parrot_models.report_page.parts import IMAGES, TrainedPart, part_rows

PARTS_NOTE = (
    "Nats are the log-likelihood of held-out normalised actions a dimension, or a lower bound of "
    "it where a latent is marginalised out. Success and what else is told of rollouts are of a "
    "part's own samples in unseen scenes. Reproduction is of demonstrations that succeed again "
    "once encoded: open loop, whole trajectories of actions are decoded; closed loop, options "
    "whose policy sees where they have led. The probe reads a privileged array off what agents "
    "see, in that array's units. The pixel error is of objects in reconstructed images, a root "
    "mean square in shares of the range. A dash: not judged, or not to be had of such a part."
)


def results_section(runs: Sequence[Run]) -> Section:
    """Learning curves and final success: a row a run, or one for the seeds of a method."""
    lines = method_figures.lines_of(run.key.method for run in runs)
    curves = Figure(
        "learning_curves",
        "Learning curves: success rate against environment steps for every method.",
        method_figures.learning_curves(tables.bands(runs), lines),
    )
    every_run, header = tables.result_rows(runs), tables.header_of(runs)
    if len({run.key.seed for run in runs}) == 1:
        return Section(header=header, rows=every_run, num_left=3, figures=[curves])
    return Section(
        header=tables.header_of_seeds(runs),
        rows=tables.seed_rows(runs),
        num_left=2,
        figures=[curves],
        details=[("Every run", header, every_run)],
    )


def aggregates_section(found: Aggregates, bootstrap: Bootstrap) -> Section:
    """Methods over all tasks and seeds; a sentence where there is one run of each."""
    note = aggregate_tables.note(found, bootstrap)
    if found.num_tasks * found.num_seeds == 1:
        return Section(note=note)
    methods = list(found.iqm)
    lines, reference = method_figures.lines_of(methods), aggregate_tables.reference_of(methods)
    against = Figure(
        "improvement",
        f"How probable it is that a run of a method has more success than one of {reference} on "
        "the same task, ties counted as half.",
        method_figures.improvements(found, reference, lines),
    )
    return Section(
        note=note,
        header=aggregate_tables.header(reference),
        rows=aggregate_tables.rows(found, reference),
        figures=[
            Figure(
                "interquartile_means",
                "Interquartile mean of final success: of the runs of all tasks, the middle half.",
                method_figures.interquartile_means(found, lines),
            ),
            Figure(
                "performance_profiles",
                "Performance profiles: the share of a method's runs with more success than τ. A "
                "higher line is better; where it crosses 0.5 is the median.",
                method_figures.performance_profiles(found, lines),
            ),
            *([against] if len(methods) > 1 else []),
        ],
    )


def aggregates_text(found: Aggregates, bootstrap: Bootstrap) -> str:
    """The same for the terminal; empty where there is one method or one run of each."""
    if len(found.iqm) == 1 or found.num_tasks * found.num_seeds == 1:
        return ""
    reference = aggregate_tables.reference_of(list(found.iqm))
    rows = aggregate_tables.rows(found, reference)
    table = tables.as_text(aggregate_tables.header(reference), rows, num_left=1)
    return f"{table}\n\n{aggregate_tables.note(found, bootstrap)}"


def parts_section(parts: Sequence[TrainedPart]) -> Section:
    """What other methods start from beside the prior, which comes first; or nothing."""
    if not parts:
        return Section()
    header, rows = part_rows(parts)
    return Section(
        note=PARTS_NOTE,
        header=header,
        rows=rows,
        figures=[
            Figure(f"{part.name}_{file.removesuffix('.png')}", f"{part.name}: {IMAGES[file]}", png)
            for part in parts
            for file, png in part.images.items()
        ],
        details=[
            (
                f"All metrics of {part.name}",
                ("measure", "value"),
                [
                    *tables.metric_rows(part.metrics),
                    *tables.metric_rows(part.judgement.metrics, "judged: "),
                ],
            )
            for part in parts[1:]
        ],
    )
