"""The command, called in this very process."""

from __future__ import annotations

from pathlib import Path

from typer.testing import CliRunner, Result

from cli.main import app


def parrot(*arguments: str | Path) -> Result:
    """Call `parrot` with these arguments."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])
