"""What the commands say: mistakes on stderr as one sentence, summaries on stdout."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

import typer
from typer.core import TyperGroup

from cli.signals import exit_code_of, heeded, sentence_of

# A terminal narrower than this would break cells of a wide table; a log has no width of its own.
LEAST_WIDTH = 140


class Commands(TyperGroup):
    """Turns a user's mistake and a signal to end into one sentence and an exit status."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            with heeded(), notes_on_stderr():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            with suppress(OSError):  # the terminal may be what has gone
                print_error(sentence_of(interrupt))
            raise typer.Exit(exit_code_of(interrupt)) from None
        except EOFError as error:
            # Of this one, click would say no more than "Aborted".
            raise RuntimeError("a file ended too early") from error
        except Exception as error:
            from parrot_data.errors import UserError

            if not isinstance(error, UserError):
                raise
            print_error(str(error))
            raise typer.Exit(1) from None


class _Notes(logging.Handler):
    """Prints what a stage has to say, a line each, on the stderr of the moment."""

    def emit(self, record: logging.LogRecord) -> None:
        with suppress(OSError):
            typer.echo(record.getMessage(), err=True)


@contextmanager
def notes_on_stderr() -> Iterator[None]:
    """Show what stages say beside their progress: from where they go on, what they set aside."""
    loggers = [logging.getLogger(name) for name in ("parrot_data", "parrot_models")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    notes = _Notes()
    for logger in loggers:
        logger.addHandler(notes)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, level, propagates in before:
            logger.removeHandler(notes)
            logger.setLevel(level)
            logger.propagate = propagates


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
