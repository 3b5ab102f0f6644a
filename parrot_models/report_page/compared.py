"""Priors beside each other, and the agents that learned with them: dataset size and mismatch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from parrot_models.report_page.compared_priors import (
    FROM_SCRATCH,
    MATRIX,
    SAMPLED,
    ComparedPrior,
    measures_of,
    read_compared,
    run_sources,
    sources_of,
)
from parrot_models.report_page.judged import SUCCESS, in_words
from parrot_models.report_page.learning import RunKey
from parrot_models.report_page.page import Figure, Row
from parrot_models.report_page.runs import read_runs
from parrot_models.report_page.study_figures import against_size, distinct_colours, grouped_bars
from parrot_models.report_page.study_page import Study
from parrot_models.report_page.tables import NONE, run_entry

NOTE_ROLLOUTS = (
    "Rollouts are the prior's own samples in scenes that no data show, a column a family and a "
    "rate: success, and whatever else the world tells of an episode. Agents are judged, frozen, "
    "over fixed evaluation episodes; untrained is the prior alone in the same episodes."
)


def dataset_size(
    study: Path, priors: Sequence[str], tasks: Sequence[str], seeds: Sequence[str]
) -> Study:
    """Prior quality and downstream success against the number of kept episodes."""
    compared = sorted(read_compared(study, priors, tasks, seeds), key=lambda prior: prior.num_kept)
    wanted = [RunKey(task, FROM_SCRATCH, seed) for task, seed in itertools.product(tasks, seeds)]
    scratch = read_runs(study / "scratch", wanted, MATRIX)
    without = {
        task: float(np.mean([run.success_rate for run in scratch if run.key.task == task]))
        for task in tasks
    }
    panels = {
        "held-out log-likelihood a dimension": {"prior": [prior.likelihood for prior in compared]},
        "success of the prior's rollouts": {
            family: [prior.judgement.by_family(SAMPLED)[family][SUCCESS] for prior in compared]
            for family in compared[0].judgement.by_family(SAMPLED)
        },
        "success of agents": {task: [p.success(task) for p in compared] for task in tasks},
    }
    drawn = against_size([p.num_kept for p in compared], panels, {"success of agents": without})
    caption = "Prior and agents against kept episodes, on a logarithmic axis."
    return Study(
        title="Dataset size",
        question="How much data does a prior need, and how much more still helps the agents that "
        "learn with it?",
        header=_header("kept episodes", compared[0], tasks),
        rows=[_row(f"{p.num_kept:,}", p, tasks) for p in compared]
        + [_row_without(compared[0], [f"{without[task]:.2f}" for task in tasks])],
        num_left=1,
        figures=[Figure("dataset_size", caption, drawn)],
        notes=[
            "A smaller dataset is the beginning of a larger one, with its tasks in the same "
            "ratio; every prior had as many training steps. Each likelihood is that of episodes "
            "held out of its own dataset.",
            NOTE_ROLLOUTS,
            "No prior: SAC on the robot's own actions, which sees what agents with the "
            f"prior of {priors[0]} episodes see.",
            _note_on_seeds(seeds),
        ],
        summary={
            "priors": [_entry(prior) for prior in compared],
            "scratch": [run_entry(run) for run in scratch],
        },
        sources=sources_of(study, compared) | run_sources(scratch, "scratch"),
    )


def mismatch(
    study: Path, priors: Sequence[str], tasks: Sequence[str], seeds: Sequence[str]
) -> Study:
    """Priors of data of different tasks, each on tasks of all families."""
    compared = read_compared(study, priors, tasks, seeds)
    agents = {task: {p.name: p.success(task) for p in compared} for task in tasks}
    untrained = {
        task: {p.name: p.success(task, "untrained_success_rate") for p in compared}
        for task in tasks
    }
    colours = distinct_colours(priors)
    panels = {"prior alone": untrained, "after learning": agents}
    bars = grouped_bars(panels, "success rate", colours, is_share=True)
    rollouts = {
        f"{family}, {in_words(name)}": {
            p.name: p.judgement.by_family(SAMPLED)[family][name] for p in compared
        }
        for family, rates in compared[0].judgement.by_family(SAMPLED).items()
        for name in rates
    }
    scenes = {"unseen scenes": rollouts}
    alone = grouped_bars(scenes, "share of rollouts", colours, is_share=True)
    return Study(
        title="Mismatch",
        question="What can an agent learn whose prior comes from grasping alone, from "
        "pick-and-place alone, or from both?",
        header=_header("data of the prior", compared[0], tasks),
        rows=[_row(prior.name, prior, tasks) for prior in compared],
        num_left=1,
        figures=[
            Figure("agents", "Success on each task, by the prior's data.", bars),
            Figure("rollouts", "What each prior's own rollouts achieve.", alone),
        ],
        notes=[
            "Every prior was trained on as many kept episodes for as many steps; only their "
            "tasks differ. Each likelihood is that of held-out episodes of its own tasks.",
            NOTE_ROLLOUTS,
            _note_on_seeds(seeds),
        ],
        summary={"priors": [_entry(prior) for prior in compared]},
        sources=sources_of(study, compared),
    )


def _header(first: str, prior: ComparedPrior, tasks: Sequence[str]) -> Row:
    rates = (
        f"{family}: {in_words(name)}"
        for family, rates in prior.judgement.by_family(SAMPLED).items()
        for name in rates
    )
    return (first, "nats a dim", *rates, *(f"agent: {task}" for task in tasks))


def _row(first: str, prior: ComparedPrior, tasks: Sequence[str]) -> Row:
    quality = [f"{value:.2f}" for value in measures_of(prior).values()]
    return (first, *quality, *(f"{prior.success(task):.2f}" for task in tasks))


def _row_without(some: ComparedPrior, success: Sequence[str]) -> Row:
    return ("no prior (sac)", *[NONE] * len(measures_of(some)), *success)


def _entry(prior: ComparedPrior) -> dict[str, object]:
    return {
        "name": prior.name,
        "num_kept": prior.num_kept,
        **measures_of(prior),
        "runs": [
            {**run_entry(run), "untrained_success_rate": run.untrained_success_rate}
            for run in prior.runs
        ],
    }


def _note_on_seeds(seeds: Sequence[str]) -> str:
    if len(seeds) == 1:
        return "One seed an agent: differences of less than 0.2 or so may be chance."
    return f"Agents' success is a mean over {len(seeds)} seeds."
