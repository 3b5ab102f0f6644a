"""Unfinished work: a stage works in `<out>.partial`, and a rename shows the finished folder.

An output folder that cannot be renamed, such as a mounted disk, has the work inside of it.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError, told
from parrot_data.stores.outputs.layout import (
    UNFINISHED,
    Output,
    beside,
    check_replaceable,
    is_mounted,
    json_in,
    names_in,
    target_of,
)
from parrot_data.stores.outputs.lock import LOCK, locked
from parrot_data.stores.outputs.publication import PLAN, REPLACED, RESULT, Publication
from parrot_data.stores.publish import write_json

FINGERPRINT = "fingerprint.json"
_OWN = (LOCK, FINGERPRINT, PLAN, RESULT, REPLACED)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Work:
    """Unfinished work, locked.

    Attributes:
        folder: where to work; all in it was made for the same fingerprint.
        target: the folder that `publish` will show, links resolved.
        output: what it will look like.
    """

    folder: Path
    target: Path
    output: Output

    def publish(self) -> None:
        """Show the result in place of an earlier one, and end the work.

        Checkpoints and caches stay until the result is shown. All its files get the permissions
        that the umask gives to new ones.

        Raises:
            UserError: there is something by now, in the target or in the work folder, that the
                stage does not make.
        """
        names = self._names_of_result()
        check_replaceable(self.target, self.output)
        old = self.output.files(self.target) or ()
        mode = (self.folder / FINGERPRINT).stat().st_mode & 0o777
        Publication(self.folder, self.target).show(names, old, self.output.marker, mode)
        # Without its fingerprint it is no work to go on with, however much of it is left.
        (self.folder / FINGERPRINT).unlink()
        _remove(self.folder)

    def _names_of_result(self) -> list[str]:
        names = self.output.files(self.folder)
        if names is None:
            raise RuntimeError(f"{self.folder}: {self.output.marker} is not as {self.output} says")
        for name in names_in(self.folder, _OWN):
            if name not in names and not self.output.is_scratch(name):
                raise UserError(
                    f"{self.folder / name} is no part of what `parrot {self.output.stage}` makes: "
                    "move it away, then give the same command again."
                )
        return sorted(names)


@contextmanager
def open_work(
    out: Path, output: Output, fingerprint: Mapping[str, Any], inputs: Iterable[Path] = ()
) -> Iterator[Work]:
    """Begin a stage's work, or go on with it if the same work was begun there before.

    To be called before any work: what may not be written to is refused here. Unfinished work of
    other params or code is set aside, in place of what was set aside before, and that is said.

    Args:
        out: the folder that `Work.publish` will show; a link stays, what it points to is written.
        output: what that folder looks like.
        fingerprint: JSON values that determine the result: the stage's params, its inputs' hashes.
        inputs: files and folders that the stage reads.

    Raises:
        UserError: `out` is or holds what is not the stage's own, or has to do with an input;
            another process works there; or the operating system refused something in the block.
    """
    place = out
    try:
        target = target_of(out, inputs)
        place = folder = _folder_for(target)
        _check_own(folder, output)
        wanted = {"stage": output.stage, "fingerprint": json.loads(json.dumps(fingerprint))}
        with ExitStack() as stack:
            is_held = stack.enter_context(locked(folder, output.stage))
            try:
                _mend(folder, target)
                check_replaceable(target, output)
                if _is_of_another(folder, wanted):
                    _set_aside(folder, wanted)
                    is_held = stack.enter_context(locked(folder, output.stage))
                write_json(folder / FINGERPRINT, wanted)
                yield Work(folder, target, output)
            finally:
                if is_held() and not any(names_in(folder, _OWN)):
                    _remove(folder)
    except OSError as error:
        raise told(error, place) from error


def tidy(out: Path, output: Output) -> None:
    """Take away what a crash left beside a result between showing it and the end of the work.

    For whoever finds a result and so begins no work there. Unfinished work stays, and so does what
    another process holds.
    """
    target = target_of(out, ())
    folder = _folder_for(target)
    if not (folder / LOCK).is_file():
        return
    with suppress(UserError), locked(folder, output.stage) as is_held:
        is_over = not (folder / FINGERPRINT).exists() or Publication(folder, target).is_done()
        if is_held() and is_over:
            _remove(folder)


def _folder_for(target: Path) -> Path:
    """Beside the target, or in it where it, or the folder around it, cannot be changed."""
    if target.is_dir() and (is_mounted(target) or not os.access(target.parent, os.W_OK | os.X_OK)):
        return target / UNFINISHED
    return target.with_name(f"{target.name}.partial")


def _check_own(folder: Path, output: Output) -> None:
    if os.path.lexists(folder) and (folder.is_symlink() or not folder.is_dir()):
        raise UserError(f"{folder} is where unfinished work would lie: move it away.")
    first = next(names_in(folder), None)
    if first is not None and not (folder / LOCK).exists():
        raise UserError(
            f"{folder} holds {first}, and is no unfinished work of `parrot {output.stage}`: move "
            "it away, or name another output folder."
        )


def _mend(folder: Path, target: Path) -> None:
    """Undo a publication that was cut short; take away what is left of one that was not."""
    publication = Publication(folder, target)
    if not (folder / FINGERPRINT).exists() or publication.is_done():
        _clear(folder)
    else:
        publication.undo()


def _is_of_another(folder: Path, wanted: Mapping[str, Any]) -> bool:
    found = json_in(folder / FINGERPRINT)
    return found != wanted and any(names_in(folder, _OWN))


def _set_aside(folder: Path, wanted: Mapping[str, Any]) -> None:
    """Rename work of another fingerprint, in place of what was set aside before."""
    aside, found = beside(folder, "aside"), json_in(folder / FINGERPRINT)
    if os.path.lexists(aside):
        if not (aside / LOCK).exists():
            raise UserError(
                f"{aside} is where the unfinished work in {folder} would be kept, and is not the "
                "program's own: move one of them away."
            )
        _remove(aside)
    folder.replace(aside)
    _log.warning(
        "unfinished work in %s was begun with another %s: it is set aside as %s",
        folder,
        _first_difference(found, wanted),
        aside,
    )


def _first_difference(found: Any, wanted: Any, key: str = "") -> str:
    """Dotted name of the first value that differs in two JSON values."""
    if isinstance(found, dict) and isinstance(wanted, dict):
        for name in sorted(found.keys() | wanted.keys()):
            if found.get(name) != wanted.get(name):
                inner = f"{key}.{name}" if key else name
                return _first_difference(found.get(name), wanted.get(name), inner)
    return key.removeprefix("fingerprint.") or "fingerprint"


def _clear(folder: Path) -> None:
    """Remove what lies in a folder of the program's own, but for the lock that says so."""
    for path in list(folder.iterdir()):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.name != LOCK:
            path.unlink()


def _remove(folder: Path) -> None:
    _clear(folder)
    (folder / LOCK).unlink()
    with suppress(OSError):  # another process has just begun there
        folder.rmdir()
