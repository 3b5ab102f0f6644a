"""Regenerate some episodes of a dataset, and see that they come out as it holds them.

An episode is a function of (params, seed, index) alone, all of which the dataset records. So what
is simulated anew must have the same content hash: proof that the dataset is what its manifest
says, which the hashes of files alone do not give.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

from parrot_data.arithmetic import plain_arithmetic
from parrot_data.comparison.divergence import Divergence, divergence, nearest
from parrot_data.comparison.recipe import Recipe, check_world, recipes_of
from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards
from parrot_data.stores.manifest import EpisodesManifest, Manifest, load_any_manifest
from parrot_data.stores.records import path_in
from parrot_data.stores.zarr_store import zarr_of
from parrot_data.streams import generator
from parrot_data.workers import Work, share_out
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world

_ZSTD_LEVEL = 1  # of what lies on the disk until it is compared


@dataclass(frozen=True)
class Regenerated:
    """What came of it.

    Attributes:
        num_episodes: how many were simulated.
        num_in_dataset: of how many.
        divergences: those that came out otherwise, in the dataset's order.
    """

    num_episodes: int
    num_in_dataset: int
    divergences: list[Divergence]


@dataclass(frozen=True)
class _Chosen:
    """An episode to simulate: its place in the dataset, its index, and what its hash must be."""

    place: int
    index: int
    content_hash: str

    def tar(self, folder: Path) -> Path:
        """Where it is left in a folder, if it comes out otherwise."""
        return folder / f"{self.place:08d}.tar"


def regenerate(
    folder: Path, num_episodes: int, seed: int, *, workers: int, progress: Progress = silent
) -> Regenerated:
    """Simulate some episodes of a dataset anew, and compare.

    Args:
        folder: of episodes or shards.
        num_episodes: how many, chosen at random; all where there are no more.
        seed: of the choice.
        workers: processes to simulate in; the result does not depend on it.
        progress: called after each episode.

    Raises:
        UserError: the dataset is damaged, was not simulated, or does not record how; its world
            cannot be made here, or has another spec by now; a worker was killed.
    """
    manifest = load_any_manifest(folder)
    recipes = recipes_of(manifest, folder)
    for recipe in recipes:
        check_world(recipe, manifest, folder)
    chosen = _choose(manifest, folder, num_episodes, seed)
    with tempfile.TemporaryDirectory(prefix="parrot-") as temporary:
        tars = _simulated(recipes, chosen, Path(temporary), workers, progress)
        divergences = []
        for each, stored in _stored(manifest, folder, chosen):
            if tars[each]:
                others = tar_shards.read_episodes(tars[each], manifest.spec)
                divergences.append(nearest(divergence(stored, other) for other in others))
    return Regenerated(len(chosen), manifest.num_episodes, divergences)


def _choose(manifest: Manifest, folder: Path, num_episodes: int, seed: int) -> list[_Chosen]:
    """Episodes at random, without repetition, in the dataset's order."""
    rng = generator(seed, "regenerate: episodes")
    total = manifest.num_episodes
    places = set(rng.choice(total, min(num_episodes, total), replace=False).tolist())
    entries = enumerate(manifest.entries(folder))
    return [_Chosen(at, e.index, e.content_hash) for at, e in entries if at in places]


def _simulated(
    recipes: Sequence[Recipe],
    chosen: Sequence[_Chosen],
    scratch: Path,
    workers: int,
    progress: Progress,
) -> dict[_Chosen, list[Path]]:
    """Tars of what came out otherwise, one of every recipe; of what one recipe makes, none.

    Which recipe an episode of a merged dataset is of, nothing records: each is tried in turn.
    """
    tars: dict[_Chosen, list[Path]] = {each: [] for each in chosen}
    missing = list(chosen)
    for number, recipe in enumerate(recipes):
        folder = scratch / str(number)
        folder.mkdir()
        _simulate_all(recipe, folder, missing, workers, progress)
        found = {each for each in missing if not each.tar(folder).exists()}
        tars.update({each: [] for each in found})
        missing = [each for each in missing if each not in found]
        for each in missing:
            tars[each].append(each.tar(folder))
    return tars


def _simulate_all(
    recipe: Recipe,
    folder: Path,
    chosen: Sequence[_Chosen],
    workers: int,
    progress: Progress,
) -> None:
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, len(chosen), "episodes")

    with plain_arithmetic():  # as `generate` does, and as there in processes of their own
        share_out(partial(_simulator, recipe, folder), chosen, workers, tick, apart=True)


@contextmanager
def _simulator(recipe: Recipe, folder: Path) -> Iterator[Work[_Chosen]]:
    """What simulates episodes, all of them in one world."""
    world = make_world(recipe.environment)
    with closing(Demonstrations(world, recipe.tasks, recipe.seed)) as demonstrations:
        yield partial(_simulate, demonstrations, folder)


def _simulate(
    demonstrations: Demonstrations, folder: Path, chosen: _Chosen, tick: Callable[[], None]
) -> None:
    """Leave an episode in a folder if it is not what it must be."""
    episode = demonstrations.episode(chosen.index)
    if episode.content_hash() != chosen.content_hash:
        tar_shards.write_shard(chosen.tar(folder), [episode], zstd_level=_ZSTD_LEVEL)
    tick()


def _stored(
    manifest: Manifest, folder: Path, chosen: Sequence[_Chosen]
) -> Iterator[tuple[_Chosen, Episode]]:
    """The chosen episodes as the dataset holds them, each held against its entry."""
    if manifest.kind == "episodes":
        yield from _in_tars(manifest, folder, chosen)
        return
    store = zarr_of(folder, manifest)  # what training reads
    for each in chosen:
        episode = store[each.place]
        if episode.content_hash() != each.content_hash:
            raise UserError(
                f"{folder / manifest.zarr}: episode {each.index} is not the one that its manifest "
                "describes: run the stage that writes the folder again, or `dvc checkout`."
            )
        yield each, episode


def _in_tars(
    manifest: EpisodesManifest, folder: Path, chosen: Sequence[_Chosen]
) -> Iterator[tuple[_Chosen, Episode]]:
    """The same of raw episodes; of tars without any, nothing is read."""
    waiting = {each.place: each for each in chosen}
    entries, stop = manifest.entries(folder), 0
    for file in manifest.files:
        start, stop = stop, stop + file.num_episodes
        described = list(islice(entries, file.num_episodes))
        if waiting.keys().isdisjoint(range(start, stop)):
            continue
        tar = path_in(folder, file.name)
        samples = tar_shards.described_samples([tar], manifest.spec, described)
        for place, (entry, sample) in enumerate(samples, start):
            if place in waiting:
                yield waiting[place], tar_shards.decode_described(entry, sample, manifest.spec)
