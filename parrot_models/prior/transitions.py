"""The cache of a dataset's transitions: shards decoded once into arrays mapped from files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from webdataset.tariterators import group_by_keys, tar_file_expander

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores.manifest import MANIFEST, ShardsManifest, load_manifest
from parrot_data.stores.publish import allocate, read_json, sha256_file, write_json
from parrot_data.stores.records import check_file
from parrot_data.stores.tar_shards import decode_sample
from parrot_models.networks.device import to_device

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

    Raises:
        UserError: a shard or the manifest is missing, truncated or altered.
    """
    wanted = {"manifest_sha256": sha256_file(data / MANIFEST)}
    complete = cache / _COMPLETE
    if not complete.exists() or read_json(complete) != wanted:
        complete.unlink(missing_ok=True)
        cache.mkdir(parents=True, exist_ok=True)
        _decode(data, cache, progress)
        write_json(complete, wanted)
    return Transitions(
        **{f.name: np.load(_file(cache, f.name), mmap_mode="r") for f in fields(Transitions)}
    )


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
        for name, values in steps.items():
            arrays[name][row : row + episode.num_steps] = values
        row += episode.num_steps
        progress(place + 1, manifest.num_episodes, "decoding shards")
    for array in arrays.values():
        array.flush()  # type: ignore[attr-defined]


def _stream(data: Path, manifest: ShardsManifest) -> Iterator[Episode]:
    """Read every shard with webdataset, in order, and hold each episode against the manifest."""
    # A tar cut short at a member's end reads as a shorter tar, so sizes and hashes come first.
    shards = set(manifest.tar_shards)
    for file in manifest.files:
        if file.name in shards:
            check_file(data, file)
    samples = group_by_keys(tar_file_expander(_open_shards(manifest.tar_paths(data))))
    for entry in manifest.entries(data):
        sample = next(samples, None)
        episode = None if sample is None else decode_sample(sample)
        if episode is None or episode.index != entry.index:
            raise UserError(
                f"{data / MANIFEST} does not describe the shards beside it, from episode "
                f"{entry.index} on: run `parrot shard` again, or `dvc checkout`."
            )
        yield episode


def _open_shards(paths: Sequence[Path]) -> Iterator[dict[str, Any]]:
    """Open the shards one by one, for webdataset's tar reader.

    Not by `WebDataset(urls)`: it never closes a local file, cuts a path at "#" or "?", and splits
    shards over the processes of a job, where every process needs a whole cache.
    """
    for path in paths:
        with path.open("rb") as stream:
            yield {"url": str(path), "stream": stream}


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
