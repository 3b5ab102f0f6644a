"""What of a stream is held out: read through once, and kept on the disk of the first process."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress
from parrot_data.stores.arrival import Arrivals
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.tar_shards import REMEDY, decode_described, key_of, read_samples
from parrot_models.training.transitions import (
    begin_cache,
    seal_cache,
    store_transitions,
    whole_cache,
)


@dataclass(frozen=True)
class Places:
    """Where the episodes of a dataset lie in its tars.

    Attributes:
        first: of each tar, the place in the dataset of its first episode; the last number is that
            of all episodes.
        held_out: the places of the episodes that are held out.
    """

    first: Sequence[int]
    held_out: Collection[int]

    def num_learned_from(self) -> list[int]:
        """Of each tar, how many of its episodes are learned from."""
        ranges = zip(self.first, self.first[1:], strict=False)
        return [
            stop - start - sum(place in self.held_out for place in range(start, stop))
            for start, stop in ranges
        ]


def gather_held_out(
    arrivals: Arrivals, held_out: Collection[int], cache: Path, progress: Progress
) -> list[int]:
    """Decode the episodes held out into a cache, unless they lie there; see `Transitions`.

    Every tar is read once, in the manifest's order, and held against its entries.

    Args:
        arrivals: the dataset.
        held_out: places of the episodes.
        cache: scratch folder.
        progress: called after every episode.

    Returns:
        `Places.first`.

    Raises:
        UserError: a tar is missing, altered, not as the manifest describes it, or did not arrive.
    """
    manifest = arrivals.manifest
    made_from = {
        "manifest_sha256": sha256_file(arrivals.folder / MANIFEST),
        "held_out": sorted(held_out),
    }
    complete = whole_cache(cache, made_from)
    if complete is not None:
        return list(complete["first"])
    begin_cache(cache)
    entries = enumerate(manifest.entries(arrivals.folder))
    num_transitions = sum(entry.num_steps for place, entry in entries if place in held_out)
    first: list[int] = []
    episodes = _held_out_in(arrivals, held_out, first, progress)
    store_transitions(cache, manifest.spec, num_transitions, episodes)
    seal_cache(cache, manifest.spec, {**made_from, "first": first})
    return first


def _held_out_in(
    arrivals: Arrivals, held_out: Collection[int], first: list[int], progress: Progress
) -> Iterator[tuple[int, Episode]]:
    """The episodes held out, each with its place; notes the first place of every tar."""
    spec, count = arrivals.manifest.spec, arrivals.manifest.num_episodes
    entries = arrivals.manifest.entries(arrivals.folder)
    place = 0
    for number in range(len(arrivals.manifest.tar_shards)):
        first.append(place)
        with arrivals.tar(number) as path:
            for sample in read_samples([path], spec):
                entry = _next(entries, sample["__key__"], arrivals, number)
                if place in held_out:
                    yield place, decode_described(entry, sample, spec)
                place += 1
                progress(place, count, "reading through the tars for what is held out")
    first.append(place)
    if place != count:
        raise UserError(f"{arrivals.name} holds {place} episodes where its manifest says {count}.")


def _next(
    entries: Iterator[EpisodeEntry], key: str, arrivals: Arrivals, number: int
) -> EpisodeEntry:
    entry = next(entries, None)
    if entry is None or key_of(entry.index) != key:
        raise UserError(
            f"{arrivals.name}/{arrivals.manifest.tar_shards[number]}: episode {key} is not the one "
            f"that its manifest describes in this place: {REMEDY}."
        )
    return entry
