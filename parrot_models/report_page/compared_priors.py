"""The priors of a study and the agents that learned with them, as they lie in its folders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json
from parrot_data.stores.seal import check_seal
from parrot_models.report_page.learning import Run, RunKey
from parrot_models.report_page.runs import read_runs

METHOD, FROM_SCRATCH = "parrot", "sac"
MATRIX = "study.priors, study.tasks and study.seeds"
MEASURES = (
    "log_prob_per_dim",
    *("pick_rollout_success_rate", "place_rollout_success_rate"),
    *("pick_rollout_any_object_rate", "place_rollout_any_object_rate"),
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
        check_seal(study / "models" / name, "parrot train-prior")
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


def sources_of(study: Path, compared: Sequence[ComparedPrior]) -> dict[str, Path]:
    """Files that the page of a study names by hash: of its data, priors and agents."""
    named: dict[str, Path] = {}
    for prior in compared:
        folder = study / "models" / prior.name
        named[f"kept/{prior.name}/kept.json"] = study / "kept" / prior.name / "kept.json"
        named |= {
            f"models/{prior.name}/{name}": folder / name
            for name in ("config.json", "metrics.json", "prior.safetensors")
        }
        named |= run_sources(prior.runs, f"runs/{prior.name}")
    return named


def run_sources(runs: Sequence[Run], label: str) -> dict[str, Path]:
    """Files of runs that a page names by hash, under a label."""
    return {
        "/".join((label, *run.key, name)): run.folder / name
        for run in runs
        for name in ("config.json", "metrics.json", "agent.safetensors")
    }
