"""The section on an audit: what it said of each task, what agents then did, how well both agree."""

from __future__ import annotations

import dataclasses
from typing import Any

from parrot_models.report_page.audited import METHOD, Audited, TaskAudited
from parrot_models.report_page.audited_figure import audit_against_outcome
from parrot_models.report_page.page import Figure, Row, Section
from parrot_models.report_page.rank_correlations import FEWEST, SAID, by_chance, correlations
from parrot_models.report_page.tables import NONE, as_text

TITLE = "What the audit said, and what happened"
NEVER = "never"
CORRELATED: Row = ("the audit's", "tasks", "with final success", "with steps to 80 %")
NOTE = (
    "Said beforehand, of demonstrations and of the prior alone, before any RL: the log-likelihood "
    "of the demonstrated actions in nats a dimension; the share of them at |z| of up to two "
    "standard deviations of the agents' reference, in all dimensions at once; how often the "
    "untrained prior succeeds in the audit's own "
    f"scenes, sampled and at z = 0. What happened: final success of {METHOD}, mean over seeds; "
    "steps until its success while learning first reached 50 % and 80 %, median over seeds, and "
    "how many of them reached it, where one that did not counts as later than all others; final "
    "success of the other methods."
)


def audited_sections(audited: Audited | None) -> tuple[Section, Section]:
    """The table with its figure, and the rank correlations; both empty where nobody audited."""
    if audited is None:
        return Section(), Section()
    words = {**_words(audited), "sampled": "untrained success", "mode": "success at z = 0"}
    drawn = {name: words[name] for name in SAID if _is_known(audited, name)}
    figure = Figure(
        "audited",
        f"Each figure of the audit against final success of {METHOD} (above) and its steps to 80 % "
        "(below), a point a task; hollow: never reached.",
        audit_against_outcome(audited.tasks, drawn),
    )
    beside = Section(
        note=" ".join([NOTE, *_caveats(audited)]),
        header=_header(audited),
        rows=_rows(audited),
        figures=[figure],
    )
    rows = _correlation_rows(audited)
    note = _note_of_correlations(audited)
    return beside, Section(note=note, header=CORRELATED if rows else (), rows=rows)


def audited_text(audited: Audited | None) -> str:
    """The same for the terminal."""
    if audited is None:
        return ""
    rows = _correlation_rows(audited)
    parts = [
        f"{TITLE}:",
        as_text(_header(audited), _rows(audited), 1),
        as_text(CORRELATED, rows, 1) if rows else "",
        " ".join([*_caveats(audited), _note_of_correlations(audited)]),
    ]
    return "\n\n".join(filter(None, parts))


def audited_json(audited: Audited) -> dict[str, Any]:
    """The same for `summary.json`; null is what is not known, and steps never reached."""
    return {
        "latent_bounds": list(audited.latent_bounds),
        "tasks": [dataclasses.asdict(task) for task in audited.tasks],
        "rank_correlations": [dataclasses.asdict(each) for each in correlations(audited.tasks)],
    }


def _words(audited: Audited) -> dict[str, str]:
    bounds = " or ".join(f"{bound:g}" for bound in audited.latent_bounds)
    return {
        "log_prob_per_dim": "nats a dimension",
        "within": f"within |z| <= {bounds}",
        "sampled": "untrained",
        "mode": "at z = 0",
    }


def _is_known(audited: Audited, name: str) -> bool:
    return any(getattr(task, name) is not None for task in audited.tasks)


def _header(audited: Audited) -> Row:
    others = dict.fromkeys(method for task in audited.tasks for method in task.others)
    steps = ("steps to 50 %", "steps to 80 %")
    success = [f"success of {method}" for method in (METHOD, *others)]
    return ("task", *_words(audited).values(), success[0], *steps, *success[1:])


def _rows(audited: Audited) -> list[Row]:
    return [
        (
            task.task,
            *(_number(getattr(task, name)) for name in SAID),
            _number(task.success_rate),
            _steps(task, task.steps_to_50, task.num_reached_50),
            _steps(task, task.steps_to_80, task.num_reached_80),
            *(_number(success) for success in task.others.values()),
        )
        for task in audited.tasks
    ]


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.2f}"


def _steps(task: TaskAudited, steps: float | None, num_reached: int) -> str:
    told = NEVER if steps is None else f"{round(steps):,}"
    return f"{told} ({num_reached} of {task.num_seeds})"


def _caveats(audited: Audited) -> list[str]:
    """What the table lacks, or what takes from its worth, a sentence each."""
    said = []
    if len(audited.latent_bounds) > 1:
        said.append("The agents have several references, so there is no share near theirs.")
    elif not _is_known(audited, "within"):
        bound = f"{audited.latent_bounds[0]:g}"
        said.append(
            f"Two standard deviations of the agents' reference, {bound}, are none of "
            "audit.latent_bounds."
        )
    if not _is_known(audited, "sampled"):
        said.append("The untrained prior was not rolled out (`parrot audit --judge`).")
    if audited.left_out:
        said.append(f"Not audited: {', '.join(audited.left_out)}.")
    if audited.is_training_data:
        said.append("The prior was trained on the audited demonstrations themselves.")
    return said


def _correlation_rows(audited: Audited) -> list[Row]:
    words = _words(audited)
    return [
        (words[each.figure], str(each.num_tasks), _signed(each.success), _signed(each.steps_to_80))
        for each in correlations(audited.tasks)
    ]


def _signed(value: float | None) -> str:
    return NONE if value is None else f"{value:+.2f}"


def _note_of_correlations(audited: Audited) -> str:
    num = len(audited.tasks)
    known = [each.num_tasks for each in correlations(audited.tasks) if each.num_tasks >= FEWEST]
    if not known:
        few = "One task has" if num == 1 else f"{num} tasks have"
        return f"{few} no order to compare: there is no rank correlation."
    size, share = by_chance(min(known))
    return (
        f"Spearman's rank correlations over the tasks, of one prior. Between figures of "
        f"{min(known)} tasks that have nothing to do with each other, {size:.2f} or more in size "
        f"comes by chance in {share:.0%} of all orders; and several are read here at once. Over "
        "few tasks they are a hint, no proof."
    )
