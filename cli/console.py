"""What the commands say: mistakes on stderr as one sentence, summaries on stdout.

Work outlives its log: where nobody reads what is said of it any more, it goes on to its end.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
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
        _open_standard_streams()
        try:
            with heeded(), _notes():
                return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            with suppress(OSError):  # the terminal may be what has gone
                print_error(sentence_of(interrupt))
            raise typer.Exit(exit_code_of(interrupt)) from None
        except EOFError as error:
            # Of this one, click would say no more than "Aborted".
            raise RuntimeError("a file ended too early") from error
        except BrokenPipeError:  # `parrot info DIR | head -1` has read enough
            silence(is_error=False)
            raise typer.Exit(1) from None
        except OSError as error:
            from parrot_data.errors import told

            silence(is_error=False)
            print_error(str(told(error, "standard output")))
            raise typer.Exit(1) from None
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
    """Say on stderr what went wrong; where torchrun started several processes, the first alone."""
    if "TORCHELASTIC_RUN_ID" in os.environ and os.environ.get("RANK", "0") != "0":
        return
    print_if_read(f"error: {sentence}", is_error=True)


def print_if_read(text: str, *, is_error: bool = False) -> None:
    """Print what lies in files, too: on a full disk or with no reader it is lost, and no more is.

    What is a command's only product is printed by `typer.echo`, whose failure is the command's.
    """
    try:
        typer.echo(text, err=is_error)
    except (OSError, ValueError):
        silence(is_error=is_error)


def silence(*, is_error: bool) -> None:
    """Let stdout or stderr lead nowhere from now on, what waits in its buffer included."""
    stream = sys.stderr if is_error else sys.stdout
    with suppress(OSError, ValueError, AttributeError):  # of a stream that is no file
        descriptor = stream.fileno()
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, descriptor)
        os.close(null)


def _open_standard_streams() -> None:
    """Open those that the caller closed: a file of ours must not get the number of one.

    A library that prints to stderr would then print into that file.
    """
    for descriptor in range(3):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115


class _Notes(logging.Handler):
    """Says what the packages log, such as work that is set aside."""

    def emit(self, record: logging.LogRecord) -> None:
        print_if_read(f"note: {record.getMessage()}", is_error=True)


@contextmanager
def _notes() -> Iterator[None]:
    """Show what stages say beside their progress: from where they go on, what they set aside."""
    loggers = [logging.getLogger(name) for name in ("benchmarks", "parrot_data", "parrot_models")]
    before = [(logger, logger.level, logger.propagate) for logger in loggers]
    handler = _Notes()
    for logger in loggers:
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, level, propagates in before:
            logger.removeHandler(handler)
            logger.setLevel(level)
            logger.propagate = propagates


def print_summary(title: str, values: Mapping[str, object], *, is_product: bool = False) -> None:
    """Print a stage's summary: a title, then a line a value, nested values dotted.

    Args:
        title: the first line.
        values: what was counted and measured.
        is_product: whether it is all that the command makes; else see `print_if_read`.
    """
    rows = list(flatten(values))
    width = max((len(key) for key, _ in rows), default=0)
    text = "\n".join([title, *(f"  {key:<{width}}  {value}" for key, value in rows)])
    if is_product:
        typer.echo(text)
    else:
        print_if_read(text)


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
