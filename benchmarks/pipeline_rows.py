"""The pipeline when there is nothing to do."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

import yaml

from benchmarks.row import Figures, Row, at_most
from benchmarks.setting import Setting
from benchmarks.timing import interleaved
from parrot_data.errors import UserError
from parrot_models.methods.names import PART_OF_METHOD

FILES_A_FOLDER = 24  # a few dozen, as the stages leave them
# Stage `parts` makes a file of params for others: DVC reads it, and misses keys that it lacks.
MADE = json.dumps(dict.fromkeys(PART_OF_METHOD, "made"))
# Stands in for every stage: makes its outputs out of nothing, files where a name has an ending.
MAKE_OUTPUTS = (
    'for out in {outs}; do case "$out" in '
    '*.*) mkdir -p "$(dirname "$out")"; echo \'{made}\' > "$out";; '
    f'*) mkdir -p "$out"; for i in $(seq {FILES_A_FOLDER}); do echo "$i" > "$out/$i"; done;; '
    "esac; done"
)


def repro_against_status(setting: Setting) -> Figures:
    """Seconds of `dvc repro` with nothing to do, and of `dvc status`; wall time."""
    folder = pipeline_up_to_date(setting)
    calls = [partial(_dvc, folder, "repro", "--quiet"), partial(_dvc, folder, "status", "--quiet")]
    for call in calls:
        call()
    repro, status = interleaved(calls, [1, 1], 2 * setting.scale.stage_rounds - 1, perf_counter)
    note = (
        "In a copy of dvc.yaml, params.yaml and all sources, where every stage only makes "
        f"{FILES_A_FOLDER} small files a folder: the same graph and the same hashing of code."
    )
    return Figures(repro, status, note)


def pipeline_up_to_date(setting: Setting) -> Path:
    """A repository with the pipeline of the checkout, its stages run by stand-ins.

    Raises:
        UserError: the checkout holds no dvc.yaml.
    """
    if not (setting.checkout / "dvc.yaml").exists():
        raise UserError(
            f"{setting.checkout} holds no dvc.yaml: run in the checkout, or name its params.yaml "
            "with --params."
        )
    folder = setting.scratch / "pipeline"
    folder.mkdir()
    for name in ("parrot_data", "parrot_models"):
        shutil.copytree(
            setting.checkout / name, folder / name, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name in ("params.yaml", ".dvcignore", ".gitignore"):
        shutil.copy(setting.checkout / name, folder / name)
    pipeline = yaml.safe_load((setting.checkout / "dvc.yaml").read_text(encoding="utf-8"))
    for stage in pipeline["stages"].values():
        stage["cmd"] = MAKE_OUTPUTS.format(outs=" ".join(_names_of(stage["outs"])), made=MADE)
    (folder / "dvc.yaml").write_text(yaml.safe_dump(pipeline), encoding="utf-8")
    subprocess.run(["git", "init", "--quiet"], cwd=folder, check=True)
    _dvc(folder, "init", "--quiet")
    _dvc(folder, "config", "core.analytics", "false")
    _dvc(folder, "repro")  # not quiet: where it fails, it says what is missing
    return folder


def _names_of(outs: list[Any]) -> list[str]:
    """Paths of a stage's outputs; one with options is a mapping with a single key."""
    return [out if isinstance(out, str) else next(iter(out)) for out in outs]


def _dvc(folder: Path, *arguments: str) -> None:
    """Run DVC with a cache of its own.

    Raises:
        RuntimeError: it failed; with what it said.
    """
    environment = {
        **os.environ,
        "DVC_SITE_CACHE_DIR": str(folder.with_name("dvc-site")),
        "DVC_NO_ANALYTICS": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"dvc {' '.join(arguments)}:\n{done.stderr or done.stdout}")


ROWS = (
    Row(
        "dvc repro with nothing to do",
        "dvc status",
        "s",
        (at_most(1.3),),
        repro_against_status,
    ),
)
