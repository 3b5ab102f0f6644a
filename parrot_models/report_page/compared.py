"""Priors beside each other, and the agents that learned with them: dataset size and mismatch."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json
from parrot_models.report_page.learning import Run, RunKey
from parrot_models.report_page.page import Figure, Row
from parrot_models.report_page.runs import read_runs
from parrot_models.report_page.study_figures import against_size, distinct_colours, grouped_bars
from parrot_models.report_page.study_page import Study
from parrot_models.report_page.tables import run_entry

METHOD, FROM_SCRATCH = "parrot", "sac"
MATRIX = "study.priors, study.tasks and study.seeds"
MEASURES = (
    "log_prob_per_dim",
    *("pick_rollout_success_rate", "place_rollout_success_rate"),
    *("pick_rollout_any_object_rate", "place_rollout_any_object_rate"),
)
NOTE_ROLLOUTS = (
    "Rollouts are the prior's own samples in scenes of unseen objects: 'any object' is the share "
    "in which some object was picked or placed at the end. Agents are judged, frozen, over fixed "
    "evaluation episodes; untrained is the prior alone in the same episodes."
)


@dataclass(frozen=True, eq=False)
class ComparedPrior:
    """One prior of a study.

    Attributes:
        name: its folder under the study's models.
        num_kept: episodes it was trained on, held-out ones included.
        metrics: of its training.
        runs: agents that learned with it, in the order of tasks and seeds.
    """

    name: str
    num_kept: int
    metrics: dict[str, Any]
    runs: list[Run]

    def success(self, task: str, name: str = "success_rate") -> float:
        """Mean over seeds of the agents' success on a task."""
        return float(np.mean([getattr(run, name) for run in self.runs if run.key.task == task]))


def read_compared(
    study: Path, priors: Sequence[str], tasks: Sequence[str], seeds: Sequence[str]
) -> list[ComparedPrior]:
    """Read what a study made, as kept/<prior>, models/<prior> and runs/<prior>.

    Raises:
        UserError: something is missing, or a run or prior lies there that nobody wants.
    """
    for folder in sorted(path.name for path in (study / "runs").glob("*") if path.is_dir()):
        if folder not in priors:
            raise UserError(
                f"{study / 'runs' / folder} is left over, no longer named by {MATRIX}: remove the "
                "folder, or name it there again"
            )
    wanted = [RunKey(task, METHOD, seed) for task, seed in itertools.product(tasks, seeds)]
    compared = []
    for name in priors:
        metrics = read_json(study / "models" / name / "metrics.json")
        missing = [key for key in MEASURES if key not in metrics]
        if missing:
            raise UserError(
                f"{study / 'models' / name / 'metrics.json'} lacks {', '.join(missing)}: run "
                "`parrot train-prior` again"
            )
        num_kept = read_json(study / "kept" / name / "summary.json")["num_kept"]
        runs = read_runs(study / "runs" / name, wanted, MATRIX)
        compared.append(ComparedPrior(name, int(num_kept), metrics, runs))
    return compared


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
    picture = against_size([p.num_kept for p in compared], panels, {"success of agents": without})
    caption = "Prior and agents against kept episodes, on a logarithmic axis."
    return Study(
        title="Dataset size",
        question="How much data does a prior need, and how much more still helps the agents that "
        "learn with it?",
        header=_header("kept episodes", tasks),
        rows=[_row(f"{p.num_kept:,}", p, tasks) for p in compared]
        + [("no prior (sac)", *["-"] * len(MEASURES), *(f"{without[t]:.2f}" for t in tasks))],
        num_left=1,
        figures=[Figure("dataset_size", caption, picture)],
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
        sources=_sources(study, compared) | _run_sources(scratch, "scratch"),
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
        sources=_sources(study, compared),
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


def _sources(study: Path, compared: Sequence[ComparedPrior]) -> dict[str, Path]:
    named: dict[str, Path] = {}
    for prior in compared:
        folder = study / "models" / prior.name
        named[f"kept/{prior.name}/kept.json"] = study / "kept" / prior.name / "kept.json"
        named |= {
            f"models/{prior.name}/{name}": folder / name
            for name in ("config.json", "metrics.json", "prior.safetensors")
        }
        named |= _run_sources(prior.runs, f"runs/{prior.name}")
    return named


def _run_sources(runs: Sequence[Run], label: str) -> dict[str, Path]:
    return {
        "/".join((label, *run.key, name)): run.folder / name
        for run in runs
        for name in ("config.json", "metrics.json", "agent.safetensors")
    }
