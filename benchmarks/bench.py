"""Measure every row and write what came out, row by row."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks import (
    cluster_rows,
    data_rows,
    entries_rows,
    env_rows,
    finetune_rows,
    flow_rows,
    growth_rows,
    pipeline_rows,
    prior_rows,
    sac_rows,
    training_rows,
)
from benchmarks.earlier import Key, earlier_results, fingerprint, key_of
from benchmarks.machine import describe_code, describe_machine
from benchmarks.row import Result, Row
from benchmarks.setting import FULL, QUICK, Scale, Setting, Values
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
        "training": training_rows.ROWS,
        "sac": sac_rows.ROWS,
        "finetune": finetune_rows.ROWS,
        "pipeline": pipeline_rows.ROWS,
        "growth": growth_rows.ROWS,
        "cluster": cluster_rows.ROWS,
        "entries": entries_rows.ROWS,
    }
)
RIVALS = ("nflows", "ray", "stable_baselines3")  # what the extra `bench` installs
MOST_SAID = 400  # characters of an error, in a row's note
NOT_INSTALLED = (
    "The rival {} is not installed: run `pip install -e '.[bench]' -c constraints.txt`, or "
    "`make bench`."
)


def bench(
    values: Values,
    checkout: Path,
    out: Path,
    groups: Sequence[str] | None,
    *,
    is_quick: bool,
    is_anew: bool = False,
    progress: Progress = silent,
) -> list[Result]:
    """Measure the rows of some groups; results.json and results.md are whole after every row.

    Args:
        values: of params.yaml.
        checkout: folder of params.yaml and dvc.yaml.
        out: folder to write; rows of an earlier call in it stay where they were measured with the
            same code and values on the same machine, and are replaced otherwise.
        groups: which, None for all.
        is_quick: whether to measure too little to tell anything, but all of the code.
        is_anew: whether to measure again what an earlier call has measured.
        progress: called before every row, and after the last.

    Returns:
        Results of the rows of these groups, those of an earlier call among them.

    Raises:
        UserError: a group has no such name, or a file in `out` is not this command's.
    """
    chosen = [(group, row) for group in _known(groups) for row in GROUPS[group]]
    every = [(group, row) for group, rows in GROUPS.items() for row in rows]
    scale = QUICK if is_quick else FULL
    about = _about(checkout, values, scale)
    file_to_write(out / "results.json", "bench", is_json_with(("code", "machine", "rows")))
    file_to_write(out / "results.md", "bench", begins_with("# Benchmarks\n"))
    kept = earlier_results(out / "results.json", about, every)
    waiting = [(group, row) for group, row in chosen if is_anew or key_of(group, row) not in kept]
    with tempfile.TemporaryDirectory(prefix="parrot-bench-") as scratch:
        setting = Setting(values, scale, Path(scratch), checkout)
        for done, (group, row) in enumerate(waiting):
            progress(done, len(waiting), row.name)
            kept[key_of(group, row)] = measured(group, row, setting)
            write_results(out, _in_order(kept, every), about)
    progress(len(waiting), len(waiting), "done")
    return _in_order(kept, chosen)


def measured(group: str, row: Row, setting: Setting) -> Result:
    """Measure a row; whatever goes wrong costs this row alone."""
    try:
        return Result(group, row, row.measure(setting))
    except UserError as error:
        return Result(group, row, None, str(error), is_failure=True)
    except Exception as error:  # noqa: BLE001 (the other rows are worth as much without this one)
        missing = (getattr(error, "name", None) or "").partition(".")[0]
        if isinstance(error, ModuleNotFoundError) and missing in RIVALS:
            return Result(group, row, None, NOT_INSTALLED.format(missing))
        traceback.print_exc()
        said = " ".join("".join(traceback.format_exception_only(error)).split())
        return Result(group, row, None, f"It failed: {said[:MOST_SAID]}", is_failure=True)


def _in_order(results: Mapping[Key, Result], rows: Sequence[tuple[str, Row]]) -> list[Result]:
    return [results[key_of(*row)] for row in rows if key_of(*row) in results]


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


def _about(checkout: Path, values: Values, scale: Scale) -> dict[str, dict[str, object]]:
    is_quick = scale is QUICK
    how = "quick: too short to tell anything" if is_quick else "medians of interleaved rounds"
    return {
        "measured": {"how": how, "fingerprint": fingerprint(values, scale)},
        "code": describe_code(checkout),
        "machine": describe_machine(),
    }
