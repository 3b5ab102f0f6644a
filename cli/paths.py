"""Paths of the command line: what no stage could read or write is told before any work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from parrot_data.errors import UserError

# Of a name, bytes: what file systems take, less what unfinished work adds (`.old.partial`).
LONGEST_NAME = 255
LONGEST_NAME_TO_WRITE = LONGEST_NAME - len(".old.partial")
LONGEST_PATH = 4095
IMAGES = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp", ".tif", ".tiff")


def folder_to_write(path: Path) -> Path:
    """The path, if a folder may be made there.

    Raises:
        UserError: a name is too long, or a file stands there or above.
    """
    _check_names(path, LONGEST_NAME_TO_WRITE)
    if path.exists() and not path.is_dir():
        raise _refused(f"{path} is a file: name a folder to write, absent or empty")
    return path


def folder_to_read(path: Path | None) -> Path | None:
    """The path, unless a file stands there; that it is missing, a stage says with what to do.

    Raises:
        UserError: it is a file, or a name is too long for anything to be called so.
    """
    if path is not None:
        _check_names(path, LONGEST_NAME)
        if path.exists() and not path.is_dir():
            raise _refused(f"{path} is a file: name the folder that a stage wrote")
    return path


def path_to_read(path: Path) -> Path:
    """The path, of a file or a folder, if anything can be called so.

    Raises:
        UserError: a name is too long, or a file stands where a folder should.
    """
    _check_names(path, LONGEST_NAME)
    return path


def shards_to_read(place: str) -> str:
    """The place, an address or a path as `folder_to_read` takes it."""
    from parrot_data.stores.arrival import is_address

    if not is_address(place):
        folder_to_read(Path(place))
    return place


def file_to_write(path: Path) -> Path:
    """The path, if a file may be made there.

    Raises:
        UserError: it is no name of a file, a folder stands there, or the folder above is missing.
    """
    _check_names(path, LONGEST_NAME_TO_WRITE)
    if not path.name or path.is_dir():
        raise _refused(f"{path} is a folder: name a file to write")
    if not path.parent.is_dir():
        raise _refused(f"{path.parent} is no folder: make it first, or name another file to write")
    return path


def image_to_write(path: Path) -> Path:
    """The same of an image, whose ending says its format.

    Raises:
        UserError: nobody knows the ending, or see `file_to_write`.
    """
    if path.suffix.lower() not in IMAGES:
        raise _refused(f"{path} is no name of an image: let it end in {', '.join(IMAGES)}")
    return file_to_write(path)


def gif_to_write(path: Path) -> Path:
    """The same of an animated image.

    Raises:
        UserError: its name does not end in .gif, or see `file_to_write`.
    """
    if path.suffix.lower() != ".gif":
        raise _refused(f"{path} is no name of a film: let it end in .gif")
    return file_to_write(path)


def _check_names(path: Path, longest: int) -> None:
    for name in path.parts:
        length = len(os.fsencode(name))
        if length > longest:
            raise _refused(
                f"the name {name[:40]}... has {length} bytes, and {longest} are the most here: "
                "name a shorter one"
            )
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise _refused(f"the path {str(path)[:40]}... is too long: name a shorter one")
    for parent in path.parents:
        if parent.exists() and not parent.is_dir():
            raise _refused(f"{parent} is a file, so there is no {path}: correct the path")


def _refused(sentence: str) -> UserError:
    from parrot_data.errors import UserError  # not above: --help must start fast

    return UserError(sentence)
