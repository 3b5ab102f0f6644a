"""Output folders: which folder a stage may write to, and which is not its own to replace."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath
from typing import Any

from parrot_data.errors import UserError
from parrot_data.stores.publish import read_json

UNFINISHED = ".parrot.partial"  # work inside of an output folder that cannot be renamed
OF_A_DISK = "lost+found"  # in the root of many file systems


@dataclass(frozen=True)
class Output:
    """What the output folder of a stage looks like, so that an earlier one is told from a user's.

    Attributes:
        stage: its name on the command line, such as "train-prior".
        marker: name of the JSON file that tells the folder's kind; published after the others.
        files: of a folder, the names of the files that are such an output, relative to the folder
            and with slashes; None if the folder is no output of the stage.
        scratch: patterns of the names of what else lies in the stage's unfinished work, such as
            checkpoints; it ends with the work. "*" stands for any part of one name.
    """

    stage: str
    marker: str
    files: Callable[[Path], Collection[str] | None]
    scratch: tuple[str, ...] = ()

    def is_scratch(self, name: str) -> bool:
        """Whether a file of unfinished work, or a folder it lies in, is not for the result."""
        path = PurePosixPath(name)
        places = [part.as_posix() for part in (path, *path.parents)]
        return path.suffix == ".tmp" or any(matches(p, self.scratch) for p in places)


def output_of(
    stage: str,
    marker: str,
    keys: Collection[str],
    files: Sequence[str],
    scratch: tuple[str, ...] = (),
) -> Output:
    """An output whose files have fixed names.

    Args:
        stage: see `Output`, for marker and scratch too.
        marker: a JSON file.
        keys: what the marker holds in every output of the stage and in no other file of its name;
            "params.shard" is the key "shard" of its "params".
        files: patterns of all names but the marker's.
        scratch: patterns.
    """

    def found(folder: Path) -> Collection[str] | None:
        value = json_in(folder / marker)
        if not all(_has(value, key.split(".")) for key in keys):
            return None
        return {name for name in names_in(folder) if matches(name, (marker, *files))}

    return Output(stage, marker, found, scratch)


def json_in(path: Path) -> Any:
    """What a JSON file holds, None where there is no such file or it cannot be read."""
    try:
        return read_json(path)
    except UserError:
        return None


def matches(name: str, patterns: Iterable[str]) -> bool:
    """Whether a name with slashes is one that a pattern stands for, part by part."""
    parts = name.split("/")
    return any(
        len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
        for wanted in (pattern.split("/") for pattern in patterns)
    )


def names_in(folder: Path, left_out: Collection[str] = ()) -> Iterator[str]:
    """Names of all files in a folder, sorted, links not followed; an empty folder is a name too.

    Args:
        folder: where; nothing is yielded if it does not exist.
        left_out: names in the folder itself that are passed over.
    """
    for entry in sorted(os.scandir(folder), key=lambda e: e.name) if folder.is_dir() else ():
        if entry.name in left_out:
            continue
        inner = list(names_in(Path(entry.path))) if entry.is_dir(follow_symlinks=False) else []
        yield from (f"{entry.name}/{name}" for name in inner) if inner else (entry.name,)


def target_of(out: Path, inputs: Iterable[Path]) -> Path:
    """The folder that an output will lie in, links resolved.

    Raises:
        UserError: the folder is, or has in it, the one the command was called in or an input; or
            it lies in an input.
    """
    target = Path(os.path.realpath(out))
    here = Path(os.path.realpath(Path.cwd()))
    if target == here or target in here.parents:
        raise UserError(
            f"{str(out)!r} as an output is the folder this command was called in, or one above it: "
            "name a folder of its own."
        )
    for path in inputs:
        _check_apart(out, target, path)
    return target


def check_replaceable(target: Path, output: Output) -> None:
    """Refuse to replace anything but an earlier output of the same stage.

    Raises:
        UserError: `target` is a file, or holds something else; the sentence names the first.
    """
    if not target.is_dir():
        if os.path.lexists(target):
            raise UserError(f"{target} is a file: name a folder, or move the file away.")
        return
    own = output.files(target) or ()
    foreign = next((name for name in entries_of(target) if name not in own), None)
    if foreign is not None:
        raise UserError(
            f"{target} holds {foreign}, which is no output of `parrot {output.stage}`: name a "
            "folder that is empty or not there, or move away what is in this one."
        )


def entries_of(target: Path) -> Iterator[str]:
    """What lies in an output folder, but for what the program or the disk keep there meanwhile."""
    kept = [UNFINISHED, beside(Path(UNFINISHED), "aside").name]
    kept.append(beside(Path(UNFINISHED), "damaged").name)
    return names_in(target, [*kept, *([OF_A_DISK] if is_mounted(target) else [])])


def beside(work: Path, what: str) -> Path:
    """A folder named after unfinished work: "a.partial" and "aside" are "a.aside.partial"."""
    return work.with_name(f"{work.name.removesuffix('.partial')}.{what}.partial")


def is_mounted(path: Path) -> bool:
    """Whether a folder is a mount point, another folder of the same disk among them."""
    if path.is_mount():
        return True
    table = Path("/proc/self/mountinfo")  # Linux alone
    if not table.exists():
        return False
    places = (line.split()[4] for line in table.read_text(errors="replace").splitlines())
    return str(path) in {place.replace("\\040", " ") for place in places}


def _check_apart(out: Path, target: Path, path: Path) -> None:
    source = Path(os.path.realpath(path))
    how = {
        target == source: "is",
        target in source.parents: "lies above",
        source in target.parents: "lies in",
    }
    if True in how:
        raise UserError(f"the output {out} {how[True]} the input {path}: name another folder.")


def _has(value: Any, keys: Sequence[str]) -> bool:
    for key in keys:
        if not isinstance(value, dict) or key not in value:
            return False
        value = value[key]
    return True
