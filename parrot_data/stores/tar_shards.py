"""The WebDataset store: plain tars for streaming, one sample an episode, always the same bytes.

A sample's key is the episode's index (`%08d`); its members are `KEY.episode.json` and one
`KEY.ARRAY.npy.zst` for each of `Episode.arrays()`. Nothing in a tar says when or by whom it was
written. Plain webdataset reads it, given what unpacks an array:

    import io, numpy, webdataset, zstandard
    unpack = lambda data: numpy.load(io.BytesIO(zstandard.ZstdDecompressor().decompress(data)))
    dataset = webdataset.WebDataset(tars, shardshuffle=False)
    dataset = dataset.decode(webdataset.handle_extension("npy.zst", unpack))

and gives dicts with `episode.json` and, say, `observation.image.npy.zst` (T + 1, H, W, 3).

Every reader of ours comes through `read_samples`, which knows these members and no others, and how
large each can be: nothing else is read, and nothing larger.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import tee
from pathlib import Path
from typing import Any, BinaryIO

import zstandard

from parrot_data.episodes.episode import (
    MAX_STEPS,
    METADATA_BYTES,
    Episode,
    episode_from,
    forms_of,
)
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.entries import EpisodeEntry, entry_of
from parrot_data.stores.packed import max_packed_bytes, pack_array, parse_metadata, unpack_array
from parrot_data.stores.publish import replace_synced

# A sample as webdataset spells it: "__key__", "__url__", and the members by extension.
Sample = dict[str, Any]
# Largest size of a member, from its key and extension; KeyError where no sample has such a one.
MaxBytes = Callable[[str, str], int]

REMEDY = "delete it and run the stage that writes it again, or `dvc checkout`"
_METADATA, _ARRAY = "episode.json", ".npy.zst"
_MEMBER = re.compile(r"([0-9]{8,12})\.(.+)")


def write_shard(path: Path, episodes: Iterable[Episode], *, zstd_level: int) -> None:
    """Write episodes into one tar, whole or not at all; holds one episode at a time.

    Raises:
        UserError: an episode holds more than could be read again.
    """
    compressor = zstandard.ZstdCompressor(level=zstd_level, write_checksum=True)
    write_samples(path, (_encode(episode, compressor) for episode in episodes))


def write_samples(path: Path, samples: Iterable[Sample]) -> None:
    """Write samples as they are, still compressed, into one tar, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            for extension, content in sample.items():
                if not extension.startswith("__"):
                    member = tarfile.TarInfo(f"{sample['__key__']}.{extension}")
                    member.size = len(content)
                    tar.addfile(member, io.BytesIO(content))
    replace_synced(temporary, path)


def write_tars(
    path_of: Callable[[int], Path], samples: Iterable[Sample], most: int
) -> list[tuple[Path, int]]:
    """Write samples as they are into tars of up to `most`; in each of them keys ascend.

    Of datasets that were merged, keys begin again, and so does a tar: in one, two samples of the
    same key would be read as one.

    Args:
        path_of: where to write the tar of a number, from 0 on.
        samples: as `read_samples` gives them.
        most: samples a tar; all tars are full but the last, and those before such a beginning.

    Returns:
        Of each tar its path and how many samples it holds.
    """
    written: list[tuple[Path, int]] = []
    stream = _Runs(samples)
    while stream.next is not None:
        path, count = path_of(len(written)), stream.num_given
        write_samples(path, stream.run(most))
        written.append((path, stream.num_given - count))
    return written


class _Runs:
    """A stream of samples, cut where it has given enough of them or their keys do not ascend."""

    def __init__(self, samples: Iterable[Sample]) -> None:
        self._samples = iter(samples)
        self.next = next(self._samples, None)
        self.num_given = 0

    def run(self, most: int) -> Iterator[Sample]:
        last, stop = -1, self.num_given + most
        while self.next is not None and self.num_given < stop and int(self.next["__key__"]) > last:
            sample, last = self.next, int(self.next["__key__"])
            self.num_given += 1
            yield sample
            self.next = next(self._samples, None)


def read_episodes(source: Path | Iterable[Path], spec: EpisodeSpec) -> Iterator[Episode]:
    """Stream episodes from a folder's tars in the order of their names, or from the tars named.

    Raises:
        UserError: as `read_samples` and `decode_sample`.
    """
    return (decode_sample(sample, spec) for sample in read_samples(source, spec))


def read_samples(
    source: Path | Iterable[Path], spec: EpisodeSpec, num_steps: Iterable[int] | None = None
) -> Iterator[Sample]:
    """Stream samples, still compressed, as webdataset would group them.

    Args:
        source: a folder, or tars.
        spec: of the episodes.
        num_steps: of each episode, in order, where a manifest says so: then nothing is read that
            is larger than such an episode needs.

    Raises:
        UserError: the folder holds no tar; a tar is missing, truncated or damaged, or holds what is
            no member of a sample, or not all of them.
    """
    bounds = _Bounds(spec, num_steps)
    for path in _tars_of(source):
        sample: Sample = {}
        for key, extension, content in _members(path, bounds.max_bytes):
            if sample and key != sample["__key__"]:
                yield bounds.check_whole(sample)
                sample = {}
            if extension in sample:
                raise UserError(f"{path} holds {key}.{extension} twice: {REMEDY}.")
            sample.update({"__key__": key, "__url__": str(path), extension: content})
        if sample:
            yield bounds.check_whole(sample)


def described_samples(
    tars: Iterable[Path], spec: EpisodeSpec, entries: Iterable[EpisodeEntry]
) -> Iterator[tuple[EpisodeEntry, Sample]]:
    """Stream the samples of a dataset, each with the entry of its episode.

    Raises:
        UserError: as `read_samples`; or the tars do not hold just the episodes of the entries, in
            their order.
    """
    paths = list(tars)
    entries, ahead = tee(entries)
    for sample in read_samples(paths, spec, (entry.num_steps for entry in ahead)):
        entry = next(entries, None)
        if entry is None or key_of(entry.index) != sample["__key__"]:
            raise UserError(
                f"{sample['__url__']}: episode {sample['__key__']} is not the one that its "
                f"manifest describes in this place: {REMEDY}."
            )
        yield entry, sample
    entry = next(entries, None)
    if entry is not None:
        where = paths[-1] if paths else "a dataset without tars"
        raise UserError(
            f"{where} ends and lacks episode {entry.index}, which its manifest describes: {REMEDY}."
        )


def decode_described(entry: EpisodeEntry, sample: Sample, spec: EpisodeSpec) -> Episode:
    """The episode of a sample, held against its entry.

    Raises:
        UserError: as `decode_sample`, or it is not what its entry says.
    """
    episode = decode_sample(sample, spec, entry.num_steps)
    if entry_of(episode) != entry:
        raise UserError(
            f"{sample['__url__']}: episode {entry.index} is not the one that its manifest "
            f"describes: {REMEDY}."
        )
    return episode


def decode_sample(
    sample: Mapping[str, Any], spec: EpisodeSpec, num_steps: int | None = None
) -> Episode:
    """Turn a sample, from `read_samples` or from webdataset, into its episode.

    Args:
        sample: with its members still compressed.
        spec: of the episode.
        num_steps: of the episode, where a manifest says so.

    Raises:
        UserError: a member is missing, its bytes are damaged, or they are no episode's.
    """
    arrays = {}
    try:
        for name, form in forms_of(spec).items():
            arrays[name] = unpack_array(name, form, _member(sample, name + _ARRAY), num_steps)
            # The first one, of actions, says how long all others must be.
            num_steps = len(arrays[name]) - form.num_extra
        metadata = _member(sample, _METADATA)
        episode = episode_from(parse_metadata(metadata[: METADATA_BYTES + 1]), arrays, spec)
        if key_of(episode.index) != sample["__key__"]:
            raise ValueError(f"it is episode {episode.index}")
    except (KeyError, ValueError) as error:
        raise UserError(
            f"{sample.get('__url__', 'a tar')}: episode {sample.get('__key__')} is damaged "
            f"({error!r}): {REMEDY}."
        ) from error
    return episode


def array_members(sample: Mapping[str, Any]) -> list[tuple[str, bytes]]:
    """Extension and bytes, still compressed, of a sample's members but for the metadata."""
    members = sorted(item for item in sample.items() if not item[0].startswith("__"))
    return [(extension, content) for extension, content in members if extension != _METADATA]


def key_of(index: int) -> str:
    """The key of an episode's sample."""
    return f"{index:08d}"


def _member(sample: Mapping[str, Any], extension: str) -> bytes:
    # webdataset spells every extension in lower case.
    content = sample[extension] if extension in sample else sample[extension.lower()]
    if not isinstance(content, bytes):
        raise ValueError(f"{extension} is decoded already")
    return content


def _encode(episode: Episode, compressor: zstandard.ZstdCompressor) -> Sample:
    try:
        sample: Sample = {"__key__": key_of(episode.index), _METADATA: episode.metadata_text()}
        for name, array in episode.arrays().items():
            sample[name + _ARRAY] = pack_array(array, compressor)
    except ValueError as error:
        raise UserError(
            f"episode {episode.index} cannot be stored ({error}): its facts must be plain, short "
            "JSON, and no array of it larger."
        ) from error
    return sample


class _Bounds:
    """What members a sample has, and how large each can be; see `read_samples`."""

    def __init__(self, spec: EpisodeSpec, num_steps: Iterable[int] | None) -> None:
        self._forms = {name + _ARRAY: form for name, form in forms_of(spec).items()}
        self._lengths = None if num_steps is None else iter(num_steps)
        self._key, self._num_steps = "", MAX_STEPS

    def max_bytes(self, key: str, extension: str) -> int:
        """Largest size of a member; samples come one after the other."""
        form = None if extension == _METADATA else self._forms[extension]
        if self._lengths is not None and key != self._key:
            length = next(self._lengths, None)
            if length is None:
                raise tarfile.ReadError(f"its manifest describes no episode {key} here")
            self._key, self._num_steps = key, length
        return METADATA_BYTES if form is None else max_packed_bytes(form, self._num_steps)

    def check_whole(self, sample: Sample) -> Sample:
        """Give a sample back, unless a member is missing."""
        for extension in (_METADATA, *self._forms):
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


def _members(path: Path, max_bytes: MaxBytes) -> Iterator[tuple[str, str, bytes]]:
    """Key, extension and content of every member.

    Of `tarfile` no more than its reading of one header is used: the whole of it also follows links,
    unfolds sparse files and reads names of any length.
    """
    try:
        with path.open("rb") as tar:
            num_bytes = path.stat().st_size
            while (header := tar.read(tarfile.BLOCKSIZE)) != bytes(tarfile.BLOCKSIZE):
                key, extension, size = _described(header, max_bytes)
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


def _described(header: bytes, max_bytes: MaxBytes) -> tuple[str, str, int]:
    """Key, extension and size of the member that a header announces; no others than a sample's."""
    member = tarfile.TarInfo.frombuf(header, "utf-8", "backslashreplace")
    parts = _MEMBER.fullmatch(member.name)
    try:
        if member.type != tarfile.REGTYPE or parts is None:
            raise KeyError(member.name)
        most = max_bytes(parts[1], parts[2])
    except KeyError:
        raise tarfile.ReadError(
            f"{member.name[:100]!r} is no member of an episode's sample"
        ) from None
    if not 0 <= member.size <= most:
        raise tarfile.ReadError(
            f"{member.name} of {member.size} bytes is larger than the {most} that its episode can "
            "need"
        )
    return parts[1], parts[2], member.size


def _check_end(tar: BinaryIO, num_bytes: int) -> None:
    """Refuse an end before the end, data behind it, and data that just stop."""
    end = tar.tell() + tarfile.BLOCKSIZE
    if num_bytes != -(-end // tarfile.RECORDSIZE) * tarfile.RECORDSIZE or any(tar.read()):
        raise tarfile.ReadError("it does not end where a tar ends")
