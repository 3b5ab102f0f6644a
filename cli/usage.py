"""What is wrong with a command line, as one sentence, as for any other mistake."""

from __future__ import annotations

import sys
from typing import Any

import typer

from cli.console import Commands, print_error

# Of whatever click typer brings along, its own or the package.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]


class Usage(Commands):
    """Says on stderr what is wrong with the arguments, and where to read what they should be."""

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """Run with streams that print "?" for what the terminal's encoding has no character for."""
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="replace")
        return super().main(*args, **kwargs)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Take the options before the command; without any, typer shows the help."""
        without_any = not args  # looked at now: the parser takes them off the list
        try:
            return list(super().parse_args(ctx, args))
        except _UsageError as error:
            if without_any:
                raise
            raise _told(error) from None

    def invoke(self, ctx: Any) -> Any:
        """Run the command that was asked for."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            raise _told(error) from None


def _told(error: Any) -> typer.Exit:
    path = error.ctx.command_path if error.ctx else "parrot"
    sentence = " ".join(error.format_message().split()).rstrip(".")
    print_error(f"{sentence[:1].lower()}{sentence[1:]}; `{path} --help` says what there is")
    return typer.Exit(2)
