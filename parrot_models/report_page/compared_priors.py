"""The priors of a study and the agents that learned with them, as they lie in its folders."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json
from parrot_data.stores.seal import check_seal
from parrot_models.report_page.judged import Judgement, read_judgement
from parrot_models.report_page.learning import Run, RunKey
from parrot_models.report_page.runs import read_runs

METHOD, FROM_SCRATCH = "parrot", "sac"
MATRIX = "study.priors, study.tasks and study.seeds"
LIKELIHOOD = "log_prob_per_dim"
SAMPLED = "sampled"  # the policy that a prior is by itself


@dataclass(frozen=True, eq=False)
class ComparedPrior:
    """One prior of a study.

    Attributes:
        name: its folder under the study's models.
        num_kept: episodes it was trained on, held-out ones included.
        likelihood: of held-out actions, nats a dimension.
        judgement: of the prior by itself.
        runs: agents that learned with it, in the order of tasks and seeds.
    """

    name: str
    num_kept: int
    likelihood: float
    judgement: Judgement
    runs: list[Run]

    def success(self, task: str, name: str = "success_rate") -> float:
        """Mean over seeds of the agents' success on a task."""
        return float(np.mean([getattr(run, name) for run in self.runs if run.key.task == task]))


def read_compared(
    study: Path, priors: Sequence[str], tasks: Sequence[str], seeds: Sequence[str]
) -> list[ComparedPrior]:
    """Read what a study made, as kept/<prior>, models/<prior>, judged/<prior> and runs/<prior>.

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
        if LIKELIHOOD not in metrics:
            raise UserError(
                f"{study / 'models' / name / 'metrics.json'} lacks {LIKELIHOOD}: run "
                "`parrot train-prior` again"
            )
        judgement = _judged(study, name)
        num_kept = read_json(study / "kept" / name / "summary.json")["num_kept"]
        runs = read_runs(study / "runs" / name, wanted, MATRIX)
        likelihood = float(metrics[LIKELIHOOD])
        compared.append(ComparedPrior(name, int(num_kept), likelihood, judgement, runs))
    _check_alike(compared)
    return compared


def _judged(study: Path, name: str) -> Judgement:
    judgement = read_judgement(study / "judged", study / "models" / name)
    if not judgement.by_family(SAMPLED):
        raise UserError(
            f"{study / 'judged' / name} holds no rollouts of the prior: run `dvc repro`, or "
            "`parrot judge` in a world that has families of unseen scenes"
        )
    return judgement


def _check_alike(compared: Sequence[ComparedPrior]) -> None:
    """Refuse priors that were judged by other measures than the first."""
    for prior in compared[1:]:
        if measures_of(prior).keys() != measures_of(compared[0]).keys():
            raise UserError(
                f"judged/{prior.name} has other families or rates than judged/{compared[0].name}: "
                "judge all priors of the study with the same params"
            )


def measures_of(prior: ComparedPrior) -> dict[str, float]:
    """What priors are compared by: likelihood, then each rate of their rollouts a family."""
    rates = {
        f"{family}_rollout_{name}": value
        for family, rates in prior.judgement.by_family(SAMPLED).items()
        for name, value in rates.items()
    }
    return {LIKELIHOOD: prior.likelihood, **rates}


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
        judged = prior.judgement.folder
        assert judged is not None
        named |= {
            f"judged/{prior.name}/{name}": judged / name for name in ("config.json", "metrics.json")
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
