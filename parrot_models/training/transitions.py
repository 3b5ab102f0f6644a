"""The cache of a dataset's transitions: its store decoded once into arrays mapped from files."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from parrot_data.episodes.episode import PRIVILEGED, Episode
from parrot_data.episodes.spec import EpisodeSpec
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
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.records import check_file
from parrot_data.stores.zarr_store import REMEDY, ZarrEpisodes, zarr_of
from parrot_models.networks.device import to_device

_log = logging.getLogger(__name__)

_COMPLETE = "complete.json"
OBSERVATION = "observation."  # begins the names of arrays of observations, in the cache


@dataclass(frozen=True, eq=False)
class Batch:
    """Transitions as tensors; an action belongs to the observation in the same row.

    Attributes:
        observations: by name, uint8 images (B, H, W, 3) and float32 vectors (B, D).
        actions: float32 (B, A), executed there, in the robot's units.
    """

    observations: Mapping[str, Tensor]
    actions: Tensor

    def to(self, device: torch.device) -> Batch:
        """The same transitions on a device."""
        observations = {name: to_device(v, device) for name, v in self.observations.items()}
        return Batch(observations, to_device(self.actions, device))


@dataclass(frozen=True, eq=False)
class Transitions:
    """All N transitions of a dataset in the order of its manifest, as arrays mapped from files.

    Attributes:
        observations: by name, uint8 images (N, H, W, 3) and float32 vectors (N, D).
        actions: float32 (N, A).
        episodes: int32 (N,), the place of each transition's episode in the manifest.
    """

    observations: Mapping[str, NDArray[Any]]
    actions: NDArray[np.float32]
    episodes: NDArray[np.int32]

    def gather(self, rows: NDArray[np.int64]) -> Batch:
        """Copy the rows, in their order, into tensors."""
        return Batch(self.gather_observations(rows, self.observations), _taken(self.actions, rows))

    def gather_observations(
        self, rows: NDArray[np.int64], names: Iterable[str]
    ) -> dict[str, Tensor]:
        """Copy the rows (...) of some observations, in their order, into tensors by name."""
        return {name: _taken(self.observations[name], rows) for name in names}


def load_transitions(data: Path, cache: Path, progress: Progress = silent) -> Transitions:
    """Map the decoded transitions of a dataset, decoding them into `cache` unless they lie there.

    What lies there is read through and held against its digests; what is damaged is decoded again,
    which is said in one sentence.

    Raises:
        UserError: a shard or the manifest is missing, truncated or altered.
    """
    made_from = {"manifest_sha256": sha256_file(data / MANIFEST)}
    manifest = load_manifest(data, "shards")
    if whole_cache(cache, made_from) is None:
        begin_cache(cache)
        _decode(data, manifest, cache, progress)
        seal_cache(cache, manifest.spec, made_from)
    return decoded_transitions(cache, manifest)


def decoded_transitions(cache: Path, manifest: ShardsManifest) -> Transitions:
    """Map the transitions of a dataset that another process has just decoded into `cache`.

    Raises:
        UserError: they are not there, as on a machine with other disks.
    """
    try:
        arrays = {
            name: np.load(_file(cache, name), mmap_mode="r") for name in _forms(manifest.spec, 0)
        }
    except FileNotFoundError:
        raise UserError(
            f"{cache}, where the first process decoded the shards, is not on the disks of this "
            "one: let --out lie where all machines write, or take the source stream"
        ) from None
    return Transitions(
        observations={
            name: arrays[f"{OBSERVATION}{name}"] for name in sorted(manifest.spec.observations)
        },
        actions=arrays["actions"],
        episodes=arrays["episodes"],
    )


def load_privileged(data: Path, name: str) -> NDArray[Any]:
    """A privileged array of a dataset's N transitions, in the order of `Transitions`: (N, ...).

    It is read from the shards anew, and lies in no cache: only what asks for it has it.

    Raises:
        UserError: a shard or the manifest is missing, truncated or altered.
    """
    episodes, array = _open(data, load_manifest(data, "shards")), f"{PRIVILEGED}.{name}"
    ranges = [episodes.rows_at(array, position) for position in range(len(episodes))]
    # The last row of an episode has no action, and is left out.
    return np.concatenate([episodes.read_rows(array, start, stop - 1) for start, stop in ranges])


def _taken(array: NDArray[Any], rows: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.take(array, rows, axis=0))


def begin_cache(cache: Path) -> None:
    """Make a cache's folder; what lies in it is whole no more."""
    (cache / _COMPLETE).unlink(missing_ok=True)
    cache.mkdir(parents=True, exist_ok=True)


def whole_cache(cache: Path, made_from: Mapping[str, Any]) -> dict[str, Any] | None:
    """What was said of a cache of this origin, every byte of it as it was decoded; else None."""
    if not (cache / _COMPLETE).exists():
        return None
    try:
        complete: dict[str, Any] = read_sealed(cache / _COMPLETE)
        if any(complete.get(key) != value for key, value in made_from.items()):
            return None
        check_digests(cache, complete["files"])
    except DamagedError as error:
        _log.warning("the cache %s %s: the shards are decoded again.", cache, error)
        return None
    return complete


def _file(cache: Path, name: str) -> Path:
    return cache / f"{name}.npy"


def _forms(spec: EpisodeSpec, num_transitions: int) -> dict[str, tuple[np.dtype[Any], Any]]:
    """Dtypes and shapes of the arrays of the cache, by name."""
    observed = {
        f"{OBSERVATION}{name}": (each.dtype, (num_transitions, *each.shape))
        for name, each in sorted(spec.observations.items())
    }
    return {
        **observed,
        "actions": (np.dtype(np.float32), (num_transitions, spec.action.dim)),
        "episodes": (np.dtype(np.int32), (num_transitions,)),
    }


def store_transitions(
    cache: Path, spec: EpisodeSpec, num_transitions: int, episodes: Iterable[tuple[int, Episode]]
) -> None:
    """Write episodes, each with its place, into new arrays of a cache: so many transitions.

    Room is taken as they come, and none for what a number alone says there is.
    """
    try:
        with ExitStack() as stack:
            files = {
                name: stack.enter_context(_new_array(_file(cache, name), dtype, shape))
                for name, (dtype, shape) in _forms(spec, num_transitions).items()
            }
            for place, episode in episodes:
                for name, values in _rows(place, episode).items():
                    files[name].write(np.ascontiguousarray(values).data)
    except OSError as error:  # a write to a full disk names no file
        raise OSError(error.errno, error.strerror, error.filename or str(cache)) from None


def _new_array(path: Path, dtype: np.dtype[Any], shape: tuple[int, ...]) -> BinaryIO:
    """A file that says which array it holds, to be filled row by row."""
    file = path.open("wb")
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    return file


def _rows(place: int, episode: Episode) -> dict[str, NDArray[Any]]:
    """An episode's rows of each array of the cache."""
    return {
        # The last observation has no action, and is left out.
        **{f"{OBSERVATION}{name}": rows[:-1] for name, rows in episode.observations.items()},
        "actions": episode.actions,
        "episodes": np.full(episode.num_steps, place, np.int32),
    }


def seal_cache(cache: Path, spec: EpisodeSpec, made_from: Mapping[str, Any]) -> None:
    """Say of a cache that it is whole, and what it was made from."""
    digests = digests_of(cache, [_file(cache, name).name for name in _forms(spec, 0)])
    write_sealed(cache / _COMPLETE, {**made_from, "files": digests})


def _decode(data: Path, manifest: ShardsManifest, cache: Path, progress: Progress) -> None:
    def episodes() -> Iterator[tuple[int, Episode]]:
        for place, episode in enumerate(_matched(data, manifest, _open(data, manifest))):
            yield place, episode
            progress(place + 1, manifest.num_episodes, "decoding shards")

    store_transitions(cache, manifest.spec, manifest.num_transitions, episodes())


def _open(data: Path, manifest: ShardsManifest) -> ZarrEpisodes:
    """The Zarr store, every byte of it vouched for, of as many transitions as the manifest says."""
    for file in manifest.files:
        if file.name.startswith(f"{manifest.zarr}/"):
            check_file(data, file)
    return zarr_of(data, manifest)


def _matched(data: Path, manifest: ShardsManifest, episodes: ZarrEpisodes) -> Iterator[Episode]:
    """The episodes in order, each held against what the manifest's entries say of it."""
    for entry, episode in zip_longest(manifest.entries(data), episodes):
        if episode is None or entry is None or entry_of(episode) != entry:
            place = "the end" if entry is None else f"episode {entry.index}"
            raise UserError(
                f"{data / MANIFEST} does not describe the shards beside it, from {place} on: "
                f"{REMEDY}."
            )
        yield episode
