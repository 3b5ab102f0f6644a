"""Environments of libraries that exclude Parrot's own, for the time of a check."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer


def environment(folder: Path, wanted: Sequence[str]) -> Path:
    """The interpreter of a new environment with the packages that are wanted."""
    typer.echo(f"Installing {' '.join(wanted)} into a temporary environment", err=True)
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    command = [str(python), "-m", "pip", "install", "--quiet", "--no-cache-dir", *wanted]
    subprocess.run(command, check=True)
    return python


def told_by(
    python: Path, script: Path, arguments: Sequence[str], variables: Mapping[str, str]
) -> dict[str, Any]:
    """What a script of another environment prints in its last line: a JSON object.

    Exits where it prints none.
    """
    run = subprocess.run(
        [str(python), str(script), *arguments],
        env={**os.environ, "PYTHONPATH": "", **variables},
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    lines = run.stdout.splitlines()
    if not lines or not lines[-1].startswith("{"):
        sys.exit(f"{script.name} ended with {run.returncode} and told nothing")
    found: dict[str, Any] = json.loads(lines[-1])
    return found
