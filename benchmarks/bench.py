"""Measure every row and write what came out, row by row."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks import (
    data_rows,
    env_rows,
    finetune_rows,
    flow_rows,
    growth_rows,
    pipeline_rows,
    prior_rows,
    sac_rows,
)
from benchmarks.machine import describe_code, describe_machine
from benchmarks.row import Figures, Result, Row
from benchmarks.setting import FULL, QUICK, Setting, Values
from benchmarks.table import markdown, plain
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.outputs.file import begins_with, file_to_write, is_json_with
from parrot_data.stores.publish import write_json

GROUPS: Mapping[str, Sequence[Row]] = MappingProxyType(
    {
        "env": env_rows.ROWS,
        "data": data_rows.ROWS,
        "flow": flow_rows.ROWS,
        "prior": prior_rows.ROWS,
        "sac": sac_rows.ROWS,
        "finetune": finetune_rows.ROWS,
        "pipeline": pipeline_rows.ROWS,
        "growth": growth_rows.ROWS,
    }
)
RIVALS = ("nflows", "stable_baselines3")  # what the extra `bench` installs


def bench(
    values: Values,
    checkout: Path,
    out: Path,
    groups: Sequence[str] | None,
    *,
    is_quick: bool,
    progress: Progress = silent,
) -> list[Result]:
    """Measure the rows of some groups; results.json and results.md are whole after every row.

    Args:
        values: of params.yaml.
        checkout: folder of params.yaml and dvc.yaml.
        out: folder to write; results of an earlier call in it are replaced.
        groups: which, None for all.
        is_quick: whether to measure too little to tell anything, but all of the code.
        progress: told of every row, before it begins and after the last.

    Raises:
        UserError: a group has no such name, or a file in `out` is not this command's.
    """
    chosen = [(group, row) for group in _known(groups) for row in GROUPS[group]]
    about = _about(checkout, is_quick)
    file_to_write(out / "results.json", "bench", is_json_with(("code", "machine", "rows")))
    file_to_write(out / "results.md", "bench", begins_with("# Benchmarks\n"))
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as scratch:
        setting = Setting(values, QUICK if is_quick else FULL, Path(scratch), checkout)
        for done, (group, row) in enumerate(chosen):
            progress(done, len(chosen), row.name)
            results.append(measured(group, row, setting))
            write_results(out, results, about)
    progress(len(chosen), len(chosen), "done")
    return results


def measured(group: str, row: Row, setting: Setting) -> Result:
    """Measure a row; a rival that is not installed, or a user's mistake, costs this row alone."""
    figures: Figures | None = None
    trouble = ""
    try:
        figures = row.measure(setting)
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if missing not in RIVALS:
            raise
        trouble = (
            f"The rival {missing} is not installed: "
            "run `pip install -e '.[bench]' -c constraints.txt`, or `make bench`."
        )
    except UserError as error:
        trouble = str(error)
    return Result(group, row, figures, trouble)


def write_results(
    out: Path, results: Sequence[Result], about: Mapping[str, Mapping[str, Any]]
) -> None:
    """Write all rows measured so far, whole or not at all."""
    write_json(out / "results.json", {**about, "rows": [plain(result) for result in results]})
    temporary = out / "results.md.tmp"
    temporary.write_text(markdown(results, about), encoding="utf-8")
    temporary.replace(out / "results.md")


def _known(groups: Sequence[str] | None) -> Sequence[str]:
    for group in groups or ():
        if group not in GROUPS:
            raise UserError(f"no rows are called {group!r}; choose some of {', '.join(GROUPS)}")
    return groups or tuple(GROUPS)


def _about(checkout: Path, is_quick: bool) -> dict[str, dict[str, object]]:
    how = "quick: too short to tell anything" if is_quick else "medians of interleaved rounds"
    return {
        "measured": {"how": how},
        "code": describe_code(checkout),
        "machine": describe_machine(),
    }
