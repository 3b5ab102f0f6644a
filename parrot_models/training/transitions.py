"""The cache of a dataset's transitions: shards decoded once into arrays mapped from files."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import zip_longest
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.entries import entry_of
from parrot_data.stores.manifest import MANIFEST, ShardsManifest, load_manifest
from parrot_data.stores.proof import (
    DamagedError,
    check_digests,
    digests_of,
    read_sealed,
    write_sealed,
)
from parrot_data.stores.publish import allocate, sha256_file
from parrot_data.stores.records import check_file
from parrot_data.stores.tar_shards import decode_sample, num_steps_of, read_samples
from parrot_models.networks.device import to_device

_log = logging.getLogger(__name__)

_COMPLETE = "complete.json"


@dataclass(frozen=True, eq=False)
class Batch:
    """Transitions as tensors: uint8 images (B, 48, 48, 3), proprioception (B, 8), actions (B, 7).

    An action belongs to the observation in the same row: it was executed there.
    """

    images: Tensor
    proprioception: Tensor
    actions: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same transitions on a device."""
        return Batch(
            images=to_device(self.images, device),
            proprioception=to_device(self.proprioception, device),
            actions=to_device(self.actions, device),
        )


@dataclass(frozen=True, eq=False)
class Transitions:
    """All N transitions of a dataset in the order of its manifest, as arrays mapped from files.

    Attributes:
        images: uint8 (N, 48, 48, 3).
        proprioception: float32 (N, 8).
        actions: float32 (N, 7).
        episodes: int32 (N,), the place of each transition's episode in the manifest.
    """

    images: NDArray[np.uint8]
    proprioception: NDArray[np.float32]
    actions: NDArray[np.float32]
    episodes: NDArray[np.int32]

    def gather(self, rows: NDArray[np.int64]) -> Batch:
        """Copy the rows, in their order, into tensors."""
        return Batch(
            images=torch.from_numpy(np.take(self.images, rows, axis=0)),
            proprioception=torch.from_numpy(np.take(self.proprioception, rows, axis=0)),
            actions=torch.from_numpy(np.take(self.actions, rows, axis=0)),
        )


def load_transitions(data: Path, cache: Path, progress: Progress = silent) -> Transitions:
    """Map the decoded transitions of a dataset, decoding them into `cache` unless they lie there.

    What lies there is read through and held against its digests; what is damaged is decoded again,
    which is said in one sentence.

    Raises:
        UserError: a shard or the manifest is missing, truncated or altered.
    """
    manifest_sha256 = sha256_file(data / MANIFEST)
    if not _is_whole(cache, manifest_sha256):
        (cache / _COMPLETE).unlink(missing_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        _decode(data, cache, progress)
        digests = digests_of(cache, [_file(cache, f.name).name for f in fields(Transitions)])
        write_sealed(cache / _COMPLETE, {"manifest_sha256": manifest_sha256, "files": digests})
    return Transitions(
        **{f.name: np.load(_file(cache, f.name), mmap_mode="r") for f in fields(Transitions)}
    )


def _is_whole(cache: Path, manifest_sha256: str) -> bool:
    """Whether a dataset's transitions lie there, every byte as it was decoded."""
    if not (cache / _COMPLETE).exists():
        return False
    try:
        complete = read_sealed(cache / _COMPLETE)
        if complete["manifest_sha256"] != manifest_sha256:
            return False
        check_digests(cache, complete["files"])
    except DamagedError as error:
        _log.warning("the cache %s %s: the shards are decoded again.", cache, error)
        return False
    return True


def _file(cache: Path, name: str) -> Path:
    return cache / f"{name}.npy"


def _decode(data: Path, cache: Path, progress: Progress) -> None:
    manifest = load_manifest(data, "shards")
    arrays: dict[str, NDArray[Any]] = {}
    row = 0
    for place, episode in enumerate(_stream(data, manifest)):
        steps = _steps_of(episode, place)
        if not arrays:
            arrays = _create(cache, steps, manifest.num_transitions)
        if arrays["images"].shape[1:] != episode.images.shape[1:]:
            raise UserError(
                f"{data}: episode {episode.index} has images of another size than those before "
                "it: run `parrot shard` again, or `dvc checkout`."
            )
        for name, values in steps.items():
            arrays[name][row : row + episode.num_steps] = values
        row += episode.num_steps
        progress(place + 1, manifest.num_episodes, "decoding shards")
    for array in arrays.values():
        array.flush()  # type: ignore[attr-defined]


def _stream(data: Path, manifest: ShardsManifest) -> Iterator[Episode]:
    """Read every shard in order, and hold each episode against the manifest."""
    # A tar cut short at a member's end reads as a shorter tar, so sizes and hashes come first.
    shards = set(manifest.tar_shards)
    for file in manifest.files:
        if file.name in shards:
            check_file(data, file)
    _check_count(data, manifest)
    samples = read_samples(manifest.tar_paths(data))
    for entry, sample in zip_longest(manifest.entries(data), samples):
        episode = None if sample is None else decode_sample(sample)
        if episode is None or entry is None or entry_of(episode) != entry:
            place = "the end" if entry is None else f"episode {entry.index}"
            raise UserError(
                f"{data / MANIFEST} does not describe the shards beside it, from {place} on: "
                "run `parrot shard` again, or `dvc checkout`."
            )
        yield episode


def _check_count(data: Path, manifest: ShardsManifest) -> None:
    """Count the transitions, before room is made for as many as the manifest says."""
    found = sum(map(num_steps_of, read_samples(manifest.tar_paths(data))))
    if found != manifest.num_transitions:
        raise UserError(
            f"{data / MANIFEST} says num_transitions {manifest.num_transitions}, but the shards "
            f"beside it hold {found}: run `parrot shard` again, or `dvc checkout`."
        )


def _steps_of(episode: Episode, place: int) -> dict[str, NDArray[Any]]:
    """An episode's transitions; its last observation has no action and is left out."""
    return {
        "images": episode.images[:-1],
        "proprioception": episode.proprioception[:-1],
        "actions": episode.actions,
        "episodes": np.full(episode.num_steps, place, dtype=np.int32),
    }


def _create(
    cache: Path, steps: dict[str, NDArray[Any]], num_transitions: int
) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {
        name: np.lib.format.open_memmap(
            _file(cache, name),
            mode="w+",
            dtype=values.dtype,
            shape=(num_transitions, *values.shape[1:]),
        )
        for name, values in steps.items()
    }
    for name in arrays:
        allocate(_file(cache, name))
    return arrays
