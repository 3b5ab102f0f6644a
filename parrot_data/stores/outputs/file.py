"""Output files: those of commands that write no folder of their own."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError, told
from parrot_data.stores.outputs.layout import json_in


def file_to_write(out: Path, command: str, is_own: Callable[[Path], bool]) -> Path:
    """The file that an output will be, links resolved; to be called before any work.

    Args:
        out: as it was named; its folder is created.
        command: that writes it, such as "contact-sheet".
        is_own: whether an existing file is an earlier output of that command.

    Raises:
        UserError: `out` is a folder or a file of another kind, or its folder cannot be written to.
    """
    target = Path(os.path.realpath(out))
    if target.is_dir():
        raise UserError(f"{str(out)!r} is a folder: name a file.")
    if os.path.lexists(target) and not (target.is_file() and is_own(target)):
        raise UserError(
            f"{out} is there already, and is no output of `parrot {command}`: name another file, "
            "or move it away."
        )
    folder = target.parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise UserError(f"{folder} cannot be written to: name a file in another folder.")
    except OSError as error:
        raise told(error, folder) from error
    return target


def is_json_with(keys: Collection[str]) -> Callable[[Path], bool]:
    """Whether a file holds a JSON object with certain keys."""

    def holds(path: Path) -> bool:
        value: Any = json_in(path)
        return isinstance(value, dict) and value.keys() >= set(keys)

    return holds


def begins_with(text: str) -> Callable[[Path], bool]:
    """Whether a file begins with a text."""

    def begins(path: Path) -> bool:
        with path.open("rb") as file:
            return file.read(len(text.encode())) == text.encode()

    return begins
