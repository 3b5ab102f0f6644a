"""How finished files get from a work folder into the output folder, and back if that is cut short.

They are gathered in one folder first. By renames it then takes the place of the older result; where
the output folder cannot be renamed (a mounted disk), its files are replaced one by one. A plan
says meanwhile what belongs where, so that a crash at any moment loses neither result.
"""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from parrot_data.stores.outputs.layout import json_in, names_in
from parrot_data.stores.publish import sync, write_json

PLAN, RESULT, REPLACED = ".parrot.plan.json", ".parrot.result", ".parrot.replaced"
_UNRENAMABLE = {errno.EBUSY, errno.EXDEV, errno.EPERM, errno.EACCES}
Names = Callable[[Path], Collection[str] | None]


@dataclass(frozen=True)
class Publication:
    """A step between two folders on one disk.

    Attributes:
        work: where the finished files lie; plan, result and what is replaced lie there meanwhile.
        target: where they are to be shown.
    """

    work: Path
    target: Path

    def show(self, names: Sequence[str], old: Collection[str], marker: str, mode: int) -> None:
        """Show files in the target; nothing of it is shown before all is on the disk.

        Args:
            names: of the files, relative to the work folder.
            old: names of the target's files, all of which go.
            marker: name of the file that comes last and goes first.
            mode: permissions of the files.
        """
        stays = self.work.parent == self.target
        self._plan(names, stays=stays)
        for name in names:
            (self.work / name).chmod(mode)
            sync(self.work / name)
            _move(name, self.work, self._result)
        _sync_folders(self._result)
        if stays or not self._swap(names):
            last = sorted(names, key=lambda name: (name == marker, name))
            first = sorted(old, key=lambda name: (name != marker, name))
            self._swap_files(last, first)

    def undo(self) -> None:
        """Bring both folders back to what they were before `show` was cut short.

        Nothing happens where none was, or where `is_done`.
        """
        plan = json_in(self.work / PLAN)
        if plan is None:
            return
        if plan["stays"]:
            self._take_back(plan["names"])
        elif self._replaced.exists() and not any(names_in(self.target)):
            self._replaced.replace(self.target)  # over an empty folder, too
        for name in _files_in(self._result):
            _move(name, self._result, self.work)
        shutil.rmtree(self._result, ignore_errors=True)
        shutil.rmtree(self._replaced, ignore_errors=True)
        (self.work / PLAN).unlink()

    def is_done(self) -> bool:
        """Whether the target was renamed into its place: that is not to be undone."""
        plan = json_in(self.work / PLAN)
        if plan is None or plan["stays"] or self._result.exists():
            return False
        return not any((self.work / name).exists() for name in plan["names"])

    @property
    def _result(self) -> Path:
        return self.work / RESULT

    @property
    def _replaced(self) -> Path:
        return self.work / REPLACED

    def _plan(self, names: Sequence[str], *, stays: bool) -> None:
        """Write down the names, and whether the target stays and its files are replaced."""
        write_json(self.work / PLAN, {"names": sorted(names), "stays": stays})

    def _swap(self, names: Sequence[str]) -> bool:
        """Rename the older result away and the new one into its place; False if it will not go."""
        try:
            if self.target.exists():
                self.target.replace(self._replaced)
        except OSError as error:
            if error.errno not in _UNRENAMABLE:
                raise
            self._plan(names, stays=True)
            return False
        self._result.replace(self.target)
        sync(self.target.parent)
        return True

    def _swap_files(self, names: Iterable[str], old: Iterable[str]) -> None:
        for name in old:
            _move(name, self.target, self._replaced)
        for name in names:
            _move(name, self._result, self.target)
        _sync_folders(self.target, self.work)

    def _take_back(self, names: Iterable[str]) -> None:
        for name in names:
            # In neither place of the work folder: then what the target has is the new file.
            is_shown = self._result.exists() and not (self._result / name).exists()
            if is_shown and (self.target / name).exists() and not (self.work / name).exists():
                _move(name, self.target, self._result)
        for name in _files_in(self._replaced):
            _move(name, self._replaced, self.target)


def _move(name: str, old: Path, new: Path) -> None:
    """Rename a file from one folder into another; folders in the old one that are empty then go."""
    (new / name).parent.mkdir(parents=True, exist_ok=True)
    (old / name).replace(new / name)
    parent = (old / name).parent
    while parent != old and _is_empty(parent):
        parent.rmdir()
        parent = parent.parent


def _is_empty(folder: Path) -> bool:
    # Not `iterdir`, which lists all of a folder: once for each file that leaves it
    with os.scandir(folder) as entries:
        return next(entries, None) is None


def _files_in(folder: Path) -> list[str]:
    """Names of the files; a folder that a crash left empty is none."""
    paths = {name: folder / name for name in names_in(folder)}
    return [name for name, path in paths.items() if path.is_symlink() or not path.is_dir()]


def _sync_folders(folder: Path, left_out: Path | None = None) -> None:
    for place, inner, _ in os.walk(folder):
        inner[:] = [name for name in inner if Path(place, name) != left_out]
        sync(Path(place))
