"""NumPy's .npz, as OGBench and D4RL lay it out: all episodes in one row, ends marked by a flag.

What is exported has the rows of OGBench: T + 1 an episode, the action and the reward in the last of
which are zeros that no reader takes for a transition.

`observations` (or several, `observations/NAME`), `actions` and `terminals` are needed; `timeouts`,
`rewards` and `next_observations` are read where they are. Rows stream, so that a file larger than
the memory can be imported; nothing is unpickled.
"""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.exchange.format import ExportOptions, Format, Holds
from parrot_data.exchange.npy import read_header, read_rows, write_header
from parrot_data.exchange.recording import (
    Recording,
    Trajectory,
    check_size,
    listed,
    regular_file,
    shown,
    single_name,
)

_OBSERVATIONS, _NEXT = "observations", "next_observations"
_ENDS = ("terminals", "timeouts")
_MAX_ROWS = 1 << 30
_READ_ROWS = 1 << 16
FILE = "episodes.npz"  # of an export
_FIRST_DAY = (1980, 1, 1, 0, 0, 0)  # of zip's calendar, where others write today


@dataclass(frozen=True)
class _Member:
    """An array of the file, unread."""

    key: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]

    @property
    def row_bytes(self) -> int:
        return int(np.prod(self.shape[1:], dtype=object)) * self.dtype.itemsize


def files_of(source: Path) -> list[Path]:
    """The files that decide what is imported."""
    return [_file_of(source)]


def _file_of(source: Path) -> Path:
    return regular_file(source / FILE if source.is_dir() else source)


@contextmanager
def open_recording(source: Path, key: str) -> Iterator[Recording]:
    """Open a file of numpy's.

    Args:
        source: the file.
        key: of the success rule, "" for none: an array of a flag a step or an episode.

    Raises:
        UserError: it is no such file, damaged, or holds pickled objects.
    """
    source = _file_of(source)
    with ExitStack() as stack:
        with _reading(source):
            archive = stack.enter_context(zipfile.ZipFile(source))
            members = _members_of(archive, source)
            num_rows = _num_rows(members, source)
            marked = _marked(archive, members, num_rows, source)
        ends = sorted({0, *marked, num_rows})
        streams = _Streams(archive, members, source, stack, num_rows)
        yield Recording(
            path=source,
            task=source.stem,
            num_episodes=len(ends) - 1,
            trajectories=_trajectories(streams, ends, key),
            notes=_notes(members, num_rows - max(marked), key),
        )


class _Streams:
    """Rows of the members, read on from where each one is."""

    def __init__(
        self,
        archive: zipfile.ZipFile,
        members: Mapping[str, _Member],
        source: Path,
        stack: ExitStack,
        num_rows: int,
    ) -> None:
        self._archive, self.members, self.source = archive, members, source
        self._stack, self.num_rows = stack, num_rows
        self._open: dict[str, IO[bytes]] = {}

    def rows(self, key: str, count: int, where: str) -> NDArray[Any]:
        """The next rows of a member."""
        member = self.members[key]
        if not member.shape or member.shape[0] != self.num_rows:
            raise UserError(
                f"{self.source}: {shown(key)} is of shape {member.shape}, actions have "
                f"{self.num_rows} rows: make their lengths agree."
            )
        check_size(f"{where}: {shown(key)}", member.dtype, (count, *member.shape[1:]))
        if key not in self._open:
            self._open[key] = self._stack.enter_context(_opened(self._archive, member))
        return _rows(self._open[key], member, count)

    def whole(self, key: str) -> NDArray[Any]:
        """All of a small member."""
        member = self.members[key]
        check_size(f"{self.source}: {shown(key)}", member.dtype, member.shape)
        with _opened(self._archive, member) as file:
            return read_rows(file, key, member.dtype, member.shape)


def _trajectories(streams: _Streams, ends: Sequence[int], key: str) -> Iterator[Trajectory]:
    members = streams.members
    now, after = _keys(members, _OBSERVATIONS), _keys(members, _NEXT)
    with _reading(streams.source):
        flags = _flags_of(streams, key, len(ends) - 1)
    for index, (start, stop) in enumerate(pairwise(ends)):
        count, where = stop - start, f"{streams.source}: episode {index}"
        with _reading(streams.source):
            observations = _named({each: streams.rows(k, count, where) for each, k in now.items()})
            following = _named({each: streams.rows(k, count, where) for each, k in after.items()})
            ended = streams.rows("terminals", count, where)
            rewards = streams.rows("rewards", count, where) if "rewards" in members else None
            flag: NDArray[Any] | None = flags[index] if flags is not None else None
            if flags is None:  # what is read already does not stream a second time
                again = {"terminals": ended, "rewards": rewards}
                flag = again[key] if key in again else _flag(streams, key, count, where)
            trajectory = Trajectory(
                name=str(index),
                observations=observations,
                next_observations=following if after else None,
                actions=streams.rows("actions", count, where),
                rewards=rewards,
                terminated="timeouts" in members and bool(ended[-1]),
                flag=flag,
            )
        yield trajectory


def _flags_of(streams: _Streams, key: str, num_episodes: int) -> NDArray[Any] | None:
    """The key's flags, where it has one an episode."""
    member = streams.members.get(key)
    if member is None or member.shape[:1] != (num_episodes,) or num_episodes == streams.num_rows:
        return None
    return streams.whole(key)


def _flag(streams: _Streams, key: str, count: int, where: str) -> NDArray[Any] | None:
    """The key's flags of the next episode, where it has one a step; it streams, too."""
    if key not in streams.members:
        return None
    read = [k for name in (_OBSERVATIONS, _NEXT) for k in _keys(streams.members, name).values()]
    if key in (*read, "actions"):
        raise UserError(f"--success key={shown(key)} names no flag of success: name another key.")
    return streams.rows(key, count, where)


def _keys(members: Mapping[str, _Member], name: str) -> dict[str, str]:
    """Keys of observations, by what comes after the slash."""
    single = {"": name} if name in members else {}
    return single | {k.removeprefix(f"{name}/"): k for k in members if k.startswith(f"{name}/")}


def _named(arrays: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    return {name or single_name(rows): rows for name, rows in arrays.items()}


def _members_of(archive: zipfile.ZipFile, source: Path) -> dict[str, _Member]:
    members = {}
    for info in archive.infolist():
        key = info.filename.removesuffix(".npy")
        if key == info.filename or key in members:
            raise UserError(
                f"{source} holds {shown(info.filename)}, twice or no array: it is no file of "
                "numpy.savez's; write it again."
            )
        with archive.open(info) as file:
            dtype, shape = read_header(file, f"{source}: {shown(key)}")
            header_bytes = file.tell()
        members[key] = member = _Member(key, dtype, shape)
        rows = shape[0] if shape else 1
        if info.file_size != header_bytes + rows * member.row_bytes:
            raise UserError(f"{source}: {shown(key)} is not of the size that it claims: remake it.")
    return members


def _num_rows(members: Mapping[str, _Member], source: Path) -> int:
    for key in ("actions", "terminals"):
        if key not in members:
            raise UserError(
                f"{source} has no {key}, only {listed(sorted(members)) or 'nothing'}: add it, a "
                "row a step."
            )
    if not _keys(members, _OBSERVATIONS):
        raise UserError(f"{source} has no {_OBSERVATIONS}: add them, a row a step.")
    if _OBSERVATIONS in members and len(_keys(members, _OBSERVATIONS)) > 1:
        raise UserError(
            f"{source} has {_OBSERVATIONS} and {_OBSERVATIONS}/NAME: call all of them by names."
        )
    shape = members["actions"].shape
    num_rows = shape[0] if shape else 0
    if not 1 <= num_rows <= _MAX_ROWS:
        raise UserError(f"{source} has {num_rows} actions, 1 to {_MAX_ROWS} are known.")
    return num_rows


def _marked(
    archive: zipfile.ZipFile, members: Mapping[str, _Member], num_rows: int, source: Path
) -> list[int]:
    """The row after each one that is marked as the last of an episode; at least one."""
    found: list[int] = []
    for key in _ENDS:
        if key not in members:
            continue
        member = members[key]
        if member.shape not in ((num_rows,), (num_rows, 1)) or member.dtype.kind not in "biuf":
            raise UserError(
                f"{source}: {key} is {shown(member.dtype)} {member.shape} for {num_rows} actions: "
                "make it a flag a row."
            )
        with _opened(archive, member) as file:
            for start in range(0, num_rows, _READ_ROWS):
                rows = _rows(file, member, min(_READ_ROWS, num_rows - start)).ravel()
                if not np.isin(rows, (0, 1)).all():
                    raise UserError(f"{source}: {key} holds other numbers than 0 and 1: mend it.")
                found.extend((np.flatnonzero(rows) + start + 1).tolist())
    if not found:
        raise UserError(f"{source}: no row is marked in terminals as the last of an episode.")
    return found


def _notes(members: Mapping[str, _Member], num_after: int, key: str) -> list[str]:
    read = {"actions", "rewards", key, *_ENDS}
    read |= {k for name in (_OBSERVATIONS, _NEXT) for k in _keys(members, name).values()}
    left_out = sorted(members.keys() - read)
    notes = []
    if left_out:
        notes.append(f"{listed(left_out)} are not kept")
    if num_after:
        notes.append(
            f"after the last row that is marked come {num_after} more: an episode that was cut off"
        )
    if "timeouts" not in members:
        notes.append(
            "without timeouts, terminals mark ends of recordings too, so no episode is terminated"
        )
    return notes


@contextmanager
def _opened(archive: zipfile.ZipFile, member: _Member) -> Iterator[IO[bytes]]:
    """A member of the archive, at its first row."""
    with archive.open(f"{member.key}.npy") as file:
        read_header(file, member.key)
        yield file


def _rows(file: IO[bytes], member: _Member, count: int) -> NDArray[Any]:
    return read_rows(file, member.key, member.dtype, (count, *member.shape[1:]))


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """What a library says of a damaged file, as one sentence."""
    try:
        yield
    except (
        OSError, RuntimeError, KeyError, ValueError, NotImplementedError, EOFError,
        OverflowError, MemoryError, zipfile.BadZipFile, zlib.error,
    ) as error:  # fmt: skip
        reason = shown(str(error).splitlines()[0] if str(error) else type(error).__name__)
        raise UserError(
            f"{source} cannot be read as .npz ({reason}): name another file, or write it again "
            "with numpy.savez."
        ) from error


class _Column:
    """Rows of one array, on the disk until how many they are is known."""

    def __init__(
        self, stack: ExitStack, folder: Path, key: str, dtype: np.dtype[Any], row: tuple[int, ...]
    ) -> None:
        self.key, self._dtype, self._row = key, dtype, row
        self._path = folder / f"{key.replace('/', '.')}.rows"
        self._file = stack.enter_context(self._path.open("wb"))
        self._num_rows = 0

    def append(self, rows: NDArray[Any]) -> None:
        self._file.write(np.ascontiguousarray(rows, self._dtype).tobytes())
        self._num_rows += len(rows)

    def move_into(self, archive: zipfile.ZipFile) -> None:
        """Write the member, and take the rows away; they are all there once the file is closed."""
        info = zipfile.ZipInfo(f"{self.key}.npy", _FIRST_DAY)
        info.compress_type = zipfile.ZIP_DEFLATED
        with archive.open(info, "w", force_zip64=True) as member, self._path.open("rb") as rows:
            write_header(member, self._dtype, (self._num_rows, *self._row))
            shutil.copyfileobj(rows, member)
        self._path.unlink()


def write(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,
    num_episodes: int,  # noqa: ARG001 each format has the same arguments
    folder: Path,
    options: ExportOptions,  # noqa: ARG001
) -> None:
    """Write `episodes.npz`; see `parrot_data.exchange.format.Write`."""
    keys = {name: f"{_OBSERVATIONS}/{name}" for name in spec.observations}
    if len(keys) == 1:
        keys = dict.fromkeys(keys, _OBSERVATIONS)
    float32, flag = np.dtype(np.float32), np.dtype(np.bool_)
    with ExitStack() as stack:
        seen = {
            name: _Column(stack, folder, keys[name], each.dtype, each.shape)
            for name, each in sorted(spec.observations.items())
        }
        actions = _Column(stack, folder, "actions", float32, (spec.action.dim,))
        rewards = _Column(stack, folder, "rewards", float32, ())
        terminals = _Column(stack, folder, "terminals", flag, ())
        success = _Column(stack, folder, "success", flag, ())
        for episode in episodes:
            for name, column in seen.items():
                column.append(episode.observations[name])
            actions.append(np.pad(episode.actions, ((0, 1), (0, 0))))
            rewards.append(np.pad(episode.rewards, (0, 1)))
            terminals.append(np.arange(episode.num_steps + 1) == episode.num_steps)
            success.append(np.array([episode.success]))
    with zipfile.ZipFile(folder / FILE, "w", compresslevel=1) as archive:
        for column in (*seen.values(), actions, rewards, terminals, success):
            column.move_into(archive)


FORMAT = Format(
    name="npz",
    title="NumPy, with [OGBench](https://github.com/seohongpark/ogbench)'s keys",
    layout=f"`{FILE}`",
    makes=(FILE,),
    files_of=files_of,
    open_recording=open_recording,
    write=write,
    holds=Holds(observations="all", rewards=True, terminated=False, task=False, success=True),
    says_bounds=False,
)
