"""Priors beside each other, and the agents that learned with them: dataset size and mismatch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from parrot_models.report_page.compared_priors import (
    FROM_SCRATCH,
    MATRIX,
    MEASURES,
    ComparedPrior,
    read_compared,
    run_sources,
    sources_of,
)
from parrot_models.report_page.learning import RunKey
from parrot_models.report_page.page import Figure, Row
from parrot_models.report_page.runs import read_runs
from parrot_models.report_page.study_figures import against_size, distinct_colours, grouped_bars
from parrot_models.report_page.study_page import Study
from parrot_models.report_page.tables import run_entry

NOTE_ROLLOUTS = (
    "Rollouts are the prior's own samples in scenes of unseen objects: 'any object' is the share "
    "in which some object was picked or placed at the end. Agents are judged, frozen, over fixed "
    "evaluation episodes; untrained is the prior alone in the same episodes."
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
        "held-out log-likelihood a dimension": {
            "prior": [prior.metrics["log_prob_per_dim"] for prior in compared]
        },
        "success of the prior's rollouts": {
            family: [prior.metrics[f"{family}_rollout_success_rate"] for prior in compared]
            for family in ("pick", "place")
        },
        "success of agents": {task: [p.success(task) for p in compared] for task in tasks},
    }
    drawn = against_size([p.num_kept for p in compared], panels, {"success of agents": without})
    caption = "Prior and agents against kept episodes, on a logarithmic axis."
    return Study(
        title="Dataset size",
        question="How much data does a prior need, and how much more still helps the agents that "
        "learn with it?",
        header=_header("kept episodes", tasks),
        rows=[_row(f"{p.num_kept:,}", p, tasks) for p in compared]
        + [("no prior (sac)", *["-"] * len(MEASURES), *(f"{without[t]:.2f}" for t in tasks))],
        num_left=1,
        figures=[Figure("dataset_size", caption, drawn)],
        notes=[
            "A smaller dataset is the beginning of a larger one, with the families in the same "
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
    """Priors of different families of data, each on tasks of both families."""
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
        f"{family}, {words}": {p.name: p.metrics[f"{family}_rollout_{key}_rate"] for p in compared}
        for family in ("pick", "place")
        for words, key in (("target", "success"), ("any object", "any_object"))
    }
    scenes = {"scenes of unseen objects": rollouts}
    alone = grouped_bars(scenes, "share of rollouts", colours, is_share=True)
    return Study(
        title="Mismatch",
        question="What can an agent learn whose prior comes from grasping alone, from "
        "pick-and-place alone, or from both?",
        header=_header("data of the prior", tasks),
        rows=[_row(prior.name, prior, tasks) for prior in compared],
        num_left=1,
        figures=[
            Figure("agents", "Success on each task, by the prior's data.", bars),
            Figure("rollouts", "What each prior's own rollouts achieve.", alone),
        ],
        notes=[
            "Every prior was trained on as many kept episodes for as many steps; only their "
            "families differ. Each likelihood is that of held-out episodes of its own families.",
            NOTE_ROLLOUTS,
            _note_on_seeds(seeds),
        ],
        summary={"priors": [_entry(prior) for prior in compared]},
        sources=sources_of(study, compared),
    )


def _header(first: str, tasks: Sequence[str]) -> Row:
    quality = ("nats a dim", "pick", "place", "pick any object", "place any object")
    return (first, *quality, *(f"agent: {task}" for task in tasks))


def _row(first: str, prior: ComparedPrior, tasks: Sequence[str]) -> Row:
    quality = [f"{prior.metrics[name]:.2f}" for name in MEASURES]
    return (first, *quality, *(f"{prior.success(task):.2f}" for task in tasks))


def _entry(prior: ComparedPrior) -> dict[str, object]:
    return {
        "name": prior.name,
        "num_kept": prior.num_kept,
        **{name: prior.metrics[name] for name in MEASURES},
        "runs": [
            {**run_entry(run), "untrained_success_rate": run.untrained_success_rate}
            for run in prior.runs
        ],
    }


def _note_on_seeds(seeds: Sequence[str]) -> str:
    if len(seeds) == 1:
        return "One seed an agent: differences of less than 0.2 or so may be chance."
    return f"Agents' success is a mean over {len(seeds)} seeds."
