"""The WebDataset store: plain tars, one sample an episode, the same bytes every time.

A sample's key is the episode's index (`%08d`); its members are `KEY.episode.json` and one
`KEY.<array>.npy.zst` an array. Nothing in a tar says when or by whom it was written.

Every reader of tars comes through `read_samples`, which knows these members and no others, and
how large each can be: nothing else is read, and nothing larger.
"""

from __future__ import annotations

import io
import json
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import zstandard
from numpy.typing import NDArray

from parrot_data.episodes.episode import ARRAY_FIELDS, METADATA_BYTES, Episode, episode_from
from parrot_data.errors import UserError
from parrot_data.stores.packed import max_packed_bytes, pack_array, unpack_array
from parrot_data.stores.publish import replace_synced

# A sample as webdataset spells it: "__key__", "__url__", and the members by extension.
Sample = dict[str, Any]

REMEDY = "delete it and run the stage that writes it again, or `dvc checkout`"
_METADATA = "episode.json"
_EXTENSIONS = {name: f"{name}.npy.zst" for name in ARRAY_FIELDS}
# Largest size of each member of a sample, by extension, in the order in which they are written.
_MAX_BYTES = {
    _METADATA: METADATA_BYTES,
    **{extension: max_packed_bytes(name) for name, extension in _EXTENSIONS.items()},
}
_MEMBER = re.compile(r"([0-9]{8,12})\.(.+)")


def write_shard(path: Path, episodes: Iterable[Episode], *, zstd_level: int) -> None:
    """Write episodes into one tar, whole or not at all; holds one episode at a time."""
    compressor = zstandard.ZstdCompressor(level=zstd_level, write_checksum=True)
    write_samples(path, (_encode(episode, compressor) for episode in episodes))


def write_samples(path: Path, samples: Iterable[Mapping[str, Any]]) -> None:
    """Write samples as they are, still compressed, into one tar, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            for extension in _MAX_BYTES:
                member = tarfile.TarInfo(f"{sample['__key__']}.{extension}")
                member.size = len(sample[extension])
                tar.addfile(member, io.BytesIO(sample[extension]))
    replace_synced(temporary, path)


def read_episodes(source: Path | Iterable[Path]) -> Iterator[Episode]:
    """Stream episodes from a folder's tars in the order of their names, or from the tars named.

    Raises:
        UserError: the folder holds no tar; a tar is missing, truncated or damaged.
    """
    return map(decode_sample, read_samples(source))


def read_samples(source: Path | Iterable[Path]) -> Iterator[Sample]:
    """Stream samples, still compressed, as webdataset would group them.

    Raises:
        UserError: the folder holds no tar; a tar is missing, truncated or damaged, or holds what is
            no member of a sample, or not all of them.
    """
    for path in _tars_of(source):
        sample: Sample = {}
        for key, extension, content in _members(path):
            if sample and key != sample["__key__"]:
                yield _whole(sample)
                sample = {}
            if extension in sample:
                raise UserError(f"{path} holds {key}.{extension} twice: {REMEDY}.")
            sample.update({"__key__": key, "__url__": str(path), extension: content})
        if sample:
            yield _whole(sample)


def num_steps_of(sample: Sample) -> int:
    """How many steps a sample's episode has, without decoding the rest of it.

    Raises:
        UserError: what says so is damaged.
    """
    return len(_array_of(sample, "rewards"))


def decode_sample(sample: Mapping[str, Any]) -> Episode:
    """Turn a sample, from `read_samples` or from webdataset, into its episode.

    Raises:
        UserError: a member is missing, its bytes are damaged, or they are no episode's.
    """
    try:
        arrays = {name: _array_of(sample, name) for name in ARRAY_FIELDS}
        episode = episode_from(_parsed(sample[_METADATA]), arrays)
        if key_of(episode.index) != sample["__key__"]:
            raise ValueError(f"it is episode {episode.index}")
    except (KeyError, ValueError) as error:
        raise _damaged(sample, error) from error
    return episode


def key_of(index: int) -> str:
    """The key of an episode's sample."""
    return f"{index:08d}"


def _encode(episode: Episode, compressor: zstandard.ZstdCompressor) -> Sample:
    sample: Sample = {"__key__": key_of(episode.index)}
    sample[_METADATA] = episode.metadata_text()
    for name, extension in _EXTENSIONS.items():
        sample[extension] = pack_array(getattr(episode, name), compressor)
    return sample


def _array_of(sample: Mapping[str, Any], name: str) -> NDArray[Any]:
    try:
        return unpack_array(name, sample[_EXTENSIONS[name]])
    except (KeyError, ValueError) as error:
        raise _damaged(sample, error) from error


def _damaged(sample: Mapping[str, Any], error: Exception) -> UserError:
    return UserError(
        f"{sample.get('__url__', 'a tar')}: episode {sample.get('__key__')} is damaged "
        f"({error!r}): {REMEDY}."
    )


def _parsed(metadata: bytes) -> object:
    try:
        return json.loads(metadata[: METADATA_BYTES + 1])
    except RecursionError:
        raise ValueError("its metadata are nested too deeply") from None


def _whole(sample: Sample) -> Sample:
    for extension in _MAX_BYTES:
        if extension not in sample:
            key = sample["__key__"]
            raise UserError(f"{sample['__url__']} lacks {key}.{extension}: {REMEDY}.")
    return sample


def _tars_of(source: Path | Iterable[Path]) -> list[Path]:
    if not isinstance(source, Path):
        return list(source)
    tars = sorted(source.glob("*.tar"))
    if not tars:
        raise UserError(f"{source} holds no tar: run the stage that writes it, or `dvc checkout`.")
    return tars


def _members(path: Path) -> Iterator[tuple[str, str, bytes]]:
    """Key, extension and content of every member.

    Of `tarfile` no more than its reading of one header is used: the whole of it also follows links,
    unfolds sparse files and reads names of any length.
    """
    try:
        with path.open("rb") as tar:
            num_bytes = path.stat().st_size
            while (header := tar.read(tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
                key, extension, size = _described(header)
                if tar.tell() + size > num_bytes:
                    raise tarfile.ReadError(f"it ends inside {key}.{extension}")
                content = tar.read(size)
                tar.seek(-size % tarfile.BLOCKSIZE, io.SEEK_CUR)
                yield key, extension, content
            _check_end(tar, num_bytes)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {REMEDY}.") from None
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}): {REMEDY}.") from error


def _described(header: bytes) -> tuple[str, str, int]:
    """Key, extension and size of the member that a header announces; no others than a sample's."""
    member = tarfile.TarInfo.frombuf(header, "utf-8", "backslashreplace")
    parts = _MEMBER.fullmatch(member.name)
    if member.type != tarfile.REGTYPE or parts is None or parts[2] not in _MAX_BYTES:
        raise tarfile.ReadError(f"{member.name[:100]!r} is no member of an episode's sample")
    if not 0 <= member.size <= _MAX_BYTES[parts[2]]:
        raise tarfile.ReadError(
            f"{member.name} of {member.size} bytes is larger than the {_MAX_BYTES[parts[2]]} that "
            "an episode can need"
        )
    return parts[1], parts[2], member.size


def _check_end(tar: BinaryIO, num_bytes: int) -> None:
    """Refuse an end before the end, data behind it, and data that just stop."""
    end = tar.tell() + tarfile.BLOCKSIZE
    if num_bytes != -(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE or any(tar.read()):
        raise tarfile.ReadError("it does not end where a tar ends")
