"""Plain WebDataset tars, one sample an episode, whose members its standard decoders decode.

A sample's members are `KEY.episode.json`, `KEY.actions.npy`, `KEY.rewards.npy` and, of each
observation, `KEY.observation.NAME.npy`, images as `.npy.gz`. `WebDataset(tars).decode()` gives
arrays and a dict. Tars of others are read where their members are called so, or nearly.
"""

from __future__ import annotations

import gzip
import io
import re
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec, ImageSpec
from parrot_data.errors import UserError
from parrot_data.exchange.format import ExportOptions, Format, Holds
from parrot_data.exchange.npy import read_header, read_rows
from parrot_data.exchange.recording import (
    MAX_BYTES,
    Recording,
    Trajectory,
    check_size,
    json_object,
    listed,
    regular_file,
    shown,
)

EPISODES_PER_TAR = 500
_METADATA = "episode.json"
_ARRAY = re.compile(r"(.+)\.npy(\.gz)?")
_OBSERVATION = re.compile(r"(?:observations?|obs)\.(.+)")
_MAX_JSON_BYTES = 1 << 20
_MAX_HEADER_BYTES = 1 << 16  # of a .npy file
_MAX_MEMBERS = 1000  # of a sample

Sample = dict[str, bytes]  # content of the members, by what comes after the key


def files_of(source: Path) -> list[Path]:
    """The files that decide what is imported: a tar, or all of a folder."""
    if not source.is_dir():
        return [regular_file(source)]
    tars = [regular_file(path) for path in sorted(source.glob("*.tar"))]
    if not tars:
        raise UserError(f"{source} holds no tar: name a tar, or a folder of them.")
    return tars


@contextmanager
def open_recording(source: Path, key: str) -> Iterator[Recording]:
    """Open tars.

    Args:
        source: a tar, or a folder of them, read in the order of their names.
        key: of the success rule, "" for none: of the sample's JSON, or an array.

    Raises:
        UserError: a tar is missing or damaged, or has no sample of an episode.
    """
    tars = files_of(source)
    num_samples, extensions = _overview(tars)
    if not num_samples:
        raise UserError(f"{source} holds no sample: name other tars.")
    left_out = sorted(each for each in extensions if not _is_read(each, key))
    yield Recording(
        path=source,
        task="",
        num_episodes=num_samples,
        trajectories=_trajectories(tars, key),
        notes=[f"of each sample, {listed(left_out)} are not kept"] if left_out else [],
    )


def _overview(tars: Sequence[Path]) -> tuple[int, set[str]]:
    """How many samples there are, and the extensions of the first of them."""
    count, extensions = 0, set[str]()
    for path in tars:
        last = None
        for name, extension, _ in _members(path, None):
            count, last = count + (name != last), name
            if count == 1:
                extensions.add(extension)
    return count, extensions


def _is_read(extension: str, key: str) -> bool:
    array = _ARRAY.fullmatch(extension)
    if array is None:
        return extension.endswith("json")
    name = array[1]
    return bool(_OBSERVATION.fullmatch(name)) or _plural(name) in ("actions", "rewards", key)


def _plural(name: str) -> str:
    return {"action": "actions", "reward": "rewards"}.get(name, name)


def _trajectories(tars: Sequence[Path], key: str) -> Iterator[Trajectory]:
    for path in tars:
        for name, sample in _samples(path, key):
            yield _trajectory(sample, name, f"{path}: sample {shown(name)}", key)


def _trajectory(sample: Sample, name: str, where: str, key: str) -> Trajectory:
    said: dict[str, Any] = {}
    arrays: dict[str, NDArray[Any]] = {}
    for extension, content in sample.items():
        array = _ARRAY.fullmatch(extension)
        if array is None:
            said |= json_object(content.decode("utf-8", "replace"))
            continue
        arrays[_plural(array[1])] = _unpacked(
            content, bool(array[2]), f"{where}: {shown(extension)}"
        )
    observations = {
        found[1]: rows for each, rows in arrays.items() if (found := _OBSERVATION.fullmatch(each))
    }
    if "actions" not in arrays:
        raise UserError(f"{where} has no actions.npy, only {listed(sorted(sample))}: add it.")
    task, flag = said.get("task"), said.get(key)
    is_flag = isinstance(flag, bool | int | float)
    return Trajectory(
        name=name,
        observations=observations,
        next_observations=None,
        actions=arrays["actions"],
        rewards=arrays.get("rewards"),
        terminated=said.get("terminated") is True,
        flag=np.asarray(flag) if is_flag else arrays.get(key),
        task=task if isinstance(task, str) else "",
    )


def _unpacked(content: bytes, is_packed: bool, where: str) -> NDArray[Any]:
    """The array of a member, once its size is known to be bearable."""
    try:
        unpacking = zlib.decompressobj(31)
        head = unpacking.decompress(content, _MAX_HEADER_BYTES) if is_packed else content
        dtype, shape = read_header(io.BytesIO(head[:_MAX_HEADER_BYTES]), where)
        check_size(where, dtype, shape)
        most = _MAX_HEADER_BYTES + int(np.prod(shape, dtype=object)) * dtype.itemsize
        if is_packed:
            content = head + unpacking.decompress(unpacking.unconsumed_tail, most)
            if not unpacking.eof:
                raise ValueError("it ends too early, or holds more than it says")
        file = io.BytesIO(content)
        read_header(file, where)
        rows = read_rows(file, "it", dtype, shape)
        if file.read(1):
            raise ValueError("it holds more than it says")
    except (ValueError, EOFError, zlib.error) as error:
        raise UserError(f"{where} is damaged ({shown(error)}): write it again.") from error
    return rows


def _samples(path: Path, key: str) -> Iterator[tuple[str, Sample]]:
    """Key and members of each sample: those members that are read."""
    name, sample = None, Sample()
    for found, extension, content in _members(path, key):
        if name is not None and found != name:
            yield name, sample
            sample = {}
        if extension in sample:
            raise UserError(f"{path} holds {shown(found)}.{shown(extension)} twice: remake it.")
        name = found
        if content is not None:
            sample[extension] = content
        if len(sample) > _MAX_MEMBERS:
            raise UserError(f"{path}: sample {shown(found)} has too many members: remake it.")
    if name is not None:
        yield name, sample


def _members(path: Path, key: str | None) -> Iterator[tuple[str, str, bytes | None]]:
    """Key, extension and content of each member; None for what is not read, as without a key."""
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                tar.members = []  # type: ignore[attr-defined] # else it keeps all it ever read
                name, extension = _split(member.name)
                if not member.isreg() or not extension:
                    continue
                content = None
                if key is not None and _is_read(extension, key):
                    content = _content(tar, member, f"{path}: {shown(member.name)}")
                yield name, extension, content
    except (tarfile.TarError, OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as a tar ({shown(error)}): restore it.") from error


def _split(name: str) -> tuple[str, str]:
    """Key and extension, as webdataset cuts a name: at the first dot of its last part."""
    folder, slash, base = name.rpartition("/")
    stem, _, extension = base.partition(".")
    return f"{folder}{slash}{stem}", extension


def _content(tar: tarfile.TarFile, member: tarfile.TarInfo, where: str) -> bytes:
    is_json = member.name.endswith("json")
    if member.size > (_MAX_JSON_BYTES if is_json else MAX_BYTES) or member.sparse is not None:
        raise UserError(f"{where} is too large: make it smaller.")
    file = tar.extractfile(member)
    content = file.read() if file is not None else b""
    if len(content) != member.size:
        raise tarfile.ReadError(f"it ends inside {shown(member.name)}")
    return content


def write(
    episodes: Iterator[Episode],
    spec: EpisodeSpec,
    num_episodes: int,
    folder: Path,
    options: ExportOptions,  # noqa: ARG001 each format has the same arguments
) -> None:
    """Write `shard-NNNNNN.tar`; see `parrot_data.exchange.format.Write`."""
    images = {name for name, each in spec.observations.items() if isinstance(each, ImageSpec)}
    for number in range(-(-num_episodes // EPISODES_PER_TAR)):
        path = folder / f"shard-{number:06d}.tar"
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for position, episode in enumerate(islice(episodes, EPISODES_PER_TAR)):
                key = f"{number * EPISODES_PER_TAR + position:08d}"
                for extension, content in _sample_of(episode, images).items():
                    info = tarfile.TarInfo(f"{key}.{extension}")
                    info.size = len(content)
                    tar.addfile(info, io.BytesIO(content))
    next(episodes, None)  # it ends, and says so of its last episode


def _sample_of(episode: Episode, images: set[str]) -> Sample:
    sample = {_METADATA: episode.metadata_text(), "actions.npy": _packed(episode.actions)}
    sample["rewards.npy"] = _packed(episode.rewards)
    for name, rows in sorted(episode.observations.items()):
        if name in images:
            packed = gzip.compress(_packed(rows), compresslevel=1, mtime=0)
            sample[f"observation.{name}.npy.gz"] = packed
        else:
            sample[f"observation.{name}.npy"] = _packed(rows)
    return sample


def _packed(rows: NDArray[Any]) -> bytes:
    plain = io.BytesIO()
    np.lib.format.write_array(plain, np.ascontiguousarray(rows), allow_pickle=False)
    return plain.getvalue()


FORMAT = Format(
    name="webdataset",
    title="[WebDataset](https://github.com/webdataset/webdataset), a sample an episode",
    layout="`shard-000000.tar`, ...",
    makes=("shard-*.tar",),
    files_of=files_of,
    open_recording=open_recording,
    write=write,
    holds=Holds(observations="all", rewards=True, terminated=True, task=True, success=True),
    says_bounds=False,
)
