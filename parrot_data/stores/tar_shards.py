"""The WebDataset store: plain tars, one sample an episode, the same bytes every time.

A sample's key is the episode's index (`%08d`); its members are `KEY.episode.json` and one
`KEY.<array>.npy.zst` an array. Nothing in a tar says when or by whom it was written.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from parrot_data.episodes.episode import ARRAY_FIELDS, Episode, episode_from
from parrot_data.errors import UserError
from parrot_data.stores.publish import replace_synced

# A sample as webdataset spells it: "__key__", "__url__", and the members by extension.
Sample = dict[str, Any]

REMEDY = "delete it and run the stage that writes it again, or `dvc checkout`"
_METADATA = "episode.json"


def write_shard(path: Path, episodes: Iterable[Episode], *, zstd_level: int) -> None:
    """Write episodes into one tar, whole or not at all; holds one episode at a time."""
    compressor = zstandard.ZstdCompressor(level=zstd_level, write_checksum=True)
    write_samples(path, (_encode(episode, compressor) for episode in episodes))


def write_samples(path: Path, samples: Iterable[Mapping[str, Any]]) -> None:
    """Write samples as they are, still compressed, into one tar, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with tarfile.open(temporary, "w", format=tarfile.USTAR_FORMAT) as tar:
        for sample in samples:
            for extension in _extensions():
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
        UserError: the folder holds no tar; a tar is missing or truncated.
    """
    for path in _tars_of(source):
        sample: Sample = {}
        for name, content in _members(path):
            key, _, extension = name.partition(".")
            if sample and key != sample["__key__"]:
                yield sample
                sample = {}
            sample.update({"__key__": key, "__url__": str(path), extension: content})
        if sample:
            yield sample


def decode_sample(sample: Mapping[str, Any]) -> Episode:
    """Turn a sample, from `read_samples` or from webdataset, into its episode.

    Raises:
        UserError: a member is missing or its bytes are damaged.
    """
    decompressor = zstandard.ZstdDecompressor()
    try:
        arrays = {
            name: _array_of(decompressor.decompress(sample[f"{name}.npy.zst"]))
            for name in ARRAY_FIELDS
        }
        return episode_from(json.loads(sample[_METADATA]), arrays)
    except (KeyError, TypeError, ValueError, zstandard.ZstdError) as error:
        raise UserError(
            f"{sample.get('__url__', 'a tar')}: episode {sample.get('__key__')} is damaged "
            f"({error!r}): {REMEDY}."
        ) from error


def key_of(index: int) -> str:
    """The key of an episode's sample."""
    return f"{index:08d}"


def _extensions() -> tuple[str, ...]:
    return (_METADATA, *(f"{name}.npy.zst" for name in ARRAY_FIELDS))


def _encode(episode: Episode, compressor: zstandard.ZstdCompressor) -> Sample:
    sample: Sample = {"__key__": key_of(episode.index)}
    sample[_METADATA] = json.dumps(episode.metadata(), sort_keys=True).encode()
    for name in ARRAY_FIELDS:
        plain = io.BytesIO()
        np.lib.format.write_array(plain, getattr(episode, name), allow_pickle=False)
        sample[f"{name}.npy.zst"] = compressor.compress(plain.getvalue())
    return sample


def _array_of(npy: bytes) -> np.ndarray[Any, Any]:
    return np.asarray(np.lib.format.read_array(io.BytesIO(npy), allow_pickle=False))


def _tars_of(source: Path | Iterable[Path]) -> list[Path]:
    if not isinstance(source, Path):
        return list(source)
    tars = sorted(source.glob("*.tar"))
    if not tars:
        raise UserError(f"{source} holds no tar: run the stage that writes it, or `dvc checkout`.")
    return tars


def _members(path: Path) -> Iterator[tuple[str, bytes]]:
    try:
        with tarfile.open(path, "r:") as tar:
            for member in tar:
                file = tar.extractfile(member)
                if file is None:
                    raise tarfile.ReadError(f"{member.name} is no file")
                yield member.name, file.read()
            _check_end(path, tar)
    except FileNotFoundError:
        raise UserError(f"{path} is missing: {REMEDY}.") from None
    except (tarfile.TarError, OSError) as error:
        raise UserError(f"{path} is truncated or damaged ({error}): {REMEDY}.") from error


def _check_end(path: Path, tar: tarfile.TarFile) -> None:
    """Refuse what tarfile takes for an end: a damaged header, or data that just stop."""
    records = -(-(tar.offset + 2 * tarfile.BLOCKSIZE) // tarfile.RECORDSIZE)
    if path.stat().st_size != records * tarfile.RECORDSIZE:
        raise tarfile.ReadError("it does not end where a tar ends")
