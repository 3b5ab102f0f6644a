"""What the fast paths do to learning: one task and one prior, several seeds, each path in turn.

A figure of speed says nothing of what is learned. `plain` computes in float32 and encodes images
layer by layer; `fast` is params.yaml as it stands; `image` learns from images through an encoder
of its own, trained end to end, where the others see the prior's frozen features, made once.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from time import process_time
from types import MappingProxyType
from typing import Any, NamedTuple

import torch

from benchmarks.learning_table import Learned, learning_page
from benchmarks.machine import describe_code, describe_machine
from benchmarks.setting import Values
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.file import begins_with, file_to_write, is_json_with
from parrot_data.stores.publish import read_json, write_json
from parrot_data.workers import Work, share_out
from parrot_models.finetune import FinetuneParams, finetune
from parrot_models.methods.params import EvaluateParams

METHOD = "parrot"
# What each variant changes in finetune.agent; "fast" must be what params.yaml says.
VARIANTS: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "fast": MappingProxyType({"observe": "features", "precision": "bf16"}),
        "plain": MappingProxyType({"observe": "features", "precision": "fp32"}),
        "image": MappingProxyType({"observe": "image", "precision": "bf16"}),
    }
)
COST = "cost.json"  # in a run's folder: CPU seconds, which a run itself does not say


class Cell(NamedTuple):
    """One run."""

    variant: str
    seed: int


@dataclass(frozen=True)
class Runs:
    """What all runs have in common.

    Attributes:
        values: of params.yaml.
        evaluation: its section `evaluate`.
        prior: folder of the prior.
        task: its name.
        folder: where runs are kept, a folder a variant, in it one a seed.
    """

    values: Values
    evaluation: EvaluateParams
    prior: Path
    task: str
    folder: Path

    def folder_of(self, cell: Cell) -> Path:
        """Where a run is kept."""
        return self.folder / cell.variant / str(cell.seed)

    def is_done(self, cell: Cell) -> bool:
        """Whether a run lies there, whole."""
        return (self.folder_of(cell) / COST).exists()

    def run(self, cell: Cell, tick: Callable[[], None]) -> None:
        """Fine-tune and write down what it cost; nothing where that was done before."""
        out = self.folder_of(cell)
        if not self.is_done(cell):
            start = process_time()
            finetune(
                variant_of(self.values.finetune, cell.variant), self.evaluation,
                self.values.environment, self.prior, self.task, METHOD, cell.seed, out,
            )  # fmt: skip
            write_json(out / COST, {"cpu_s": process_time() - start})
        tick()


def measure_learning(
    runs: Runs, variants: Sequence[str], seeds: int, workers: int, out: Path,
    checkout: Path, *, progress: Progress = silent,
) -> list[Learned]:  # fmt: skip
    """Run what is missing; learning.md and learning.json tell of all finished runs at any time.

    Args:
        runs: what to run; a finished run in its folder is kept.
        variants: names out of VARIANTS.
        seeds: 0, 1, ... of every variant.
        workers: runs at a time, each with one thread.
        out: folder to write.
        checkout: folder of the code.
        progress: called after every finished run.

    Raises:
        UserError: there is no such variant, task or prior, or a worker was killed.
    """
    unknown = sorted(set(variants) - set(VARIANTS))
    if unknown:
        known = ", ".join(VARIANTS)
        raise UserError(f"no variant is called {unknown[0]!r}; choose some of {known}")
    # Variants in turn, so that a machine busy with something else costs all of them alike.
    cells = [Cell(variant, seed) for seed in range(seeds) for variant in variants]
    about = {"code": describe_code(checkout), "machine": describe_machine()}
    is_own = is_json_with(("code", "machine", "runs", "task"))
    file_to_write(out / "learning.json", "bench-learning", is_own)
    file_to_write(out / "learning.md", "bench-learning", begins_with("# Learning "))

    def tick() -> None:
        learned = [_learned(runs, cell) for cell in cells if runs.is_done(cell)]
        _write(out, learned, runs.task, about)
        progress(len(learned), len(cells), "runs")

    progress(0, len(cells), "runs")
    share_out(partial(_worker, runs), cells, workers, tick)
    return [_learned(runs, cell) for cell in cells]


def _write(
    out: Path, learned: Sequence[Learned], task: str, about: Mapping[str, Mapping[str, Any]]
) -> None:
    rows = [asdict(run) for run in learned]
    write_json(out / "learning.json", {**about, "task": task, "runs": rows})
    temporary = out / "learning.md.tmp"
    temporary.write_text(learning_page(learned, task, about), encoding="utf-8")
    temporary.replace(out / "learning.md")


def variant_of(params: FinetuneParams, variant: str) -> FinetuneParams:
    """The params of a variant."""
    agent = params.agent.model_copy(update=dict(VARIANTS[variant]))
    return params.model_copy(update={"agent": agent})


@contextmanager
def _worker(runs: Runs) -> Iterator[Work[Cell]]:
    torch.set_num_threads(1)
    yield runs.run


def _learned(runs: Runs, cell: Cell) -> Learned:
    run = runs.folder_of(cell)
    metrics: dict[str, Any] = read_json(run / "metrics.json")
    with (run / "curve.csv").open(newline="", encoding="utf-8") as file:
        curve = [(int(r["env_steps"]), float(r["success_rate"])) for r in csv.DictReader(file)]
    return Learned(
        variant=cell.variant,
        seed=cell.seed,
        success_rate=metrics["success_rate"],
        steps_to_80=metrics["steps_to_80"],
        cpu_s=read_json(run / COST)["cpu_s"],
        curve=curve,
    )
