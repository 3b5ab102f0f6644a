"""What the commands say: mistakes on stderr as one sentence, summaries on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import typer
from typer.core import TyperGroup

# A terminal narrower than this would break cells of a wide table; a log has no width of its own.
LEAST_WIDTH = 140


class Commands(TyperGroup):
    """Turns a user's mistake and Ctrl-C into one sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            print_error("interrupted; give the same command again to go on from here")
            raise typer.Exit(130) from None
        except Exception as error:
            from parrot_data.errors import UserError

            if not isinstance(error, UserError):
                raise
            print_error(str(error))
            raise typer.Exit(1) from None


def print_version(wanted: bool) -> None:
    """Print the version and leave, where the option was given."""
    if wanted:
        from importlib.metadata import version

        typer.echo(f"parrot {version('parrot-priors')}")
        raise typer.Exit


def print_error(sentence: str) -> None:
    """Say on stderr what went wrong."""
    typer.echo(f"error: {sentence}", err=True)


def print_summary(title: str, values: Mapping[str, object]) -> None:
    """Print a stage's summary: a title, then a line a value, nested values dotted."""
    rows = list(flatten(values))
    width = max((len(key) for key, _ in rows), default=0)
    typer.echo(title)
    for key, value in rows:
        typer.echo(f"  {key:<{width}}  {value}")


def flatten(values: Mapping[str, object], prefix: str = "") -> list[tuple[str, str]]:
    """Turn nested mappings into (dotted key, printable value) rows; long lists become counts."""
    rows: list[tuple[str, str]] = []
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            rows.extend(flatten(value, f"{name}."))
        elif isinstance(value, list) and len(str(value)) > 72:
            rows.append((name, f"{len(value)} entries"))
        elif isinstance(value, float):
            rows.append((name, f"{value:.6g}"))
        else:
            rows.append((name, str(value)))
    return rows
