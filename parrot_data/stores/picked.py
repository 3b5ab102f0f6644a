"""Episodes picked from datasets: they stream, in their order, each held against its entry."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path

from parrot_data.episodes.episode import Episode
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.manifest import Manifest

Described = tuple[EpisodeEntry, tar_shards.Sample]


def unheeded(entry: EpisodeEntry, sample: tar_shards.Sample) -> None:
    """Look at no sample; see `Picked.look`."""


@dataclass(frozen=True, eq=False)
class Part:
    """Some episodes of a dataset.

    Attributes:
        folder: of the dataset.
        manifest: the folder's.
        is_picked: of each episode, by its place in the dataset, 1 where it is picked, else 0.
    """

    folder: Path
    manifest: Manifest
    is_picked: bytes

    def entries(self) -> Iterator[EpisodeEntry]:
        """What the manifest says of each of them."""
        return compress(self.manifest.entries(self.folder), self.is_picked)

    def samples(self) -> Iterator[Described]:
        """Their samples, still compressed, each with its entry."""
        tars = self.manifest.tar_paths(self.folder)
        entries = self.manifest.entries(self.folder)
        described = tar_shards.described_samples(tars, self.manifest.spec, entries)
        return compress(described, self.is_picked)


@dataclass(frozen=True, eq=False)
class Picked:
    """Some episodes of one dataset or several, which all have one spec.

    Attributes:
        parts: in their order.
        look: called with each sample whenever one is read.
    """

    parts: Sequence[Part]
    look: Callable[[EpisodeEntry, tar_shards.Sample], None] = unheeded

    @property
    def spec(self) -> EpisodeSpec:
        """Of all of them."""
        return self.parts[0].manifest.spec

    def __len__(self) -> int:
        return sum(sum(part.is_picked) for part in self.parts)

    def entries(self) -> Iterator[EpisodeEntry]:
        """What their manifests say of each.

        Raises:
            UserError: as `read_entries`.
        """
        for part in self.parts:
            yield from part.entries()

    def samples(self) -> Iterator[Described]:
        """Their samples, still compressed, each with its entry.

        Raises:
            UserError: as `described_samples`.
        """
        for part in self.parts:
            for entry, sample in part.samples():
                self.look(entry, sample)
                yield entry, sample

    def episodes(self) -> Iterator[Episode]:
        """The episodes themselves, each held against its entry.

        Raises:
            UserError: as `described_samples` and `decode_described`.
        """
        for entry, sample in self.samples():
            yield tar_shards.decode_described(entry, sample, self.spec)


def places_picked(places: Collection[int], num_episodes: int) -> bytes:
    """The `is_picked` of some places; those beyond the dataset are passed over."""
    is_picked = bytearray(num_episodes)
    for place in places:
        if place < num_episodes:
            is_picked[place] = 1
    return bytes(is_picked)
