"""Regenerate some episodes of a dataset, and see that they come out as it holds them.

An episode is a function of (params, seed, index) alone, all of which the dataset records. So what
is simulated anew must have the same content hash: proof that the dataset is what its manifest
says, which the hashes of files alone do not give.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from parrot_data.arithmetic import plain_arithmetic
from parrot_data.comparison.divergence import Divergence, divergence
from parrot_data.comparison.values import changed_values
from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.generate_params import GenerateParams
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards
from parrot_data.stores.manifest import MANIFEST, EpisodesManifest, Manifest, load_any_manifest
from parrot_data.stores.records import path_in
from parrot_data.stores.zarr_store import zarr_of
from parrot_data.streams import generator
from parrot_data.workers import Work, share_out
from parrot_data.worlds.demonstrations import Demonstrations
from parrot_data.worlds.make import make_world
from parrot_data.worlds.params import EnvironmentParams

_ZSTD_LEVEL = 1  # of what lies on the disk until it is compared


@dataclass(frozen=True)
class Recipe:
    """All that determines an episode but its index: the world, and section `generate`."""

    environment: EnvironmentParams
    generate: GenerateParams


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
    recipe = recipe_of(manifest, folder)
    _check_world(recipe, manifest, folder)
    chosen = _choose(manifest, folder, num_episodes, seed)
    done = 0

    def tick() -> None:
        nonlocal done
        done += 1
        progress(done, len(chosen), "episodes")

    with tempfile.TemporaryDirectory(prefix="parrot-") as temporary:
        scratch = Path(temporary)
        with plain_arithmetic():  # as `generate` does, and as there in processes of their own
            share_out(partial(_simulator, recipe, scratch), chosen, workers, tick, apart=True)
        divergences = []
        for each, stored in _stored(manifest, folder, chosen):
            path = _tar(scratch, each)
            if path.exists():
                (simulated,) = tar_shards.read_episodes([path], manifest.spec)
                divergences.append(divergence(stored, simulated))
    return Regenerated(len(chosen), manifest.num_episodes, divergences)


def recipe_of(manifest: Manifest, folder: Path) -> Recipe:
    """What the episodes of a dataset were simulated with.

    Raises:
        UserError: they were not, or it does not say, or in other words than today's.
    """
    path, params = folder / MANIFEST, manifest.params
    if "import" in params:
        raise UserError(
            f"{folder} was imported: its episodes were recorded elsewhere, and there is nothing to "
            "simulate; `parrot verify` checks that they are as they were imported."
        )
    lacking = [name for name in ("environment", "generate") if name not in params]
    if lacking:
        raise UserError(
            f"{path} does not record the params of {' and '.join(lacking)}, so that nobody can "
            "simulate its episodes anew: name a dataset that `parrot generate` or `parrot shard` "
            "made."
        )
    return Recipe(
        _validated(EnvironmentParams, params, "environment", path),
        _validated(GenerateParams, params, "generate", path),
    )


def _validated(form: Any, params: Mapping[str, Any], name: str, path: Path) -> Any:
    try:
        return TypeAdapter(form).validate_python(params[name])
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join((name, *(str(part) for part in first["loc"])))
        raise UserError(
            f"{path} records params that this version does not understand ({key}: {first['msg']}): "
            "check out the version that made the dataset."
        ) from error


def _check_world(recipe: Recipe, manifest: Manifest, folder: Path) -> None:
    """See that the world is there, demonstrates the tasks, and shows what the dataset holds."""
    world = make_world(recipe.environment)
    Demonstrations(world, recipe.generate.tasks, recipe.generate.seed).close()
    changes = changed_values(manifest.spec.model_dump(), world.spec.model_dump())
    if changes:
        raise UserError(
            f"{folder} was made by other code: the world that its params name has another spec "
            f"today ({changes[0].name} is not the same), so no episode of it can come out again; "
            "check out the version that made the dataset."
        )


def _choose(manifest: Manifest, folder: Path, num_episodes: int, seed: int) -> list[_Chosen]:
    """Episodes at random, without repetition, in the dataset's order."""
    rng = generator(seed, "regenerate: episodes")
    total = manifest.num_episodes
    places = set(rng.choice(total, min(num_episodes, total), replace=False).tolist())
    entries = enumerate(manifest.entries(folder))
    return [_Chosen(at, e.index, e.content_hash) for at, e in entries if at in places]


@contextmanager
def _simulator(recipe: Recipe, scratch: Path) -> Iterator[Work[_Chosen]]:
    """What simulates episodes, all of them in one world."""
    world, params = make_world(recipe.environment), recipe.generate
    with closing(Demonstrations(world, params.tasks, params.seed)) as demonstrations:
        yield partial(_simulate, demonstrations, scratch)


def _simulate(
    demonstrations: Demonstrations, scratch: Path, chosen: _Chosen, tick: Callable[[], None]
) -> None:
    """Leave an episode in `scratch` if it is not what it must be."""
    episode = demonstrations.episode(chosen.index)
    if episode.content_hash() != chosen.content_hash:
        tar_shards.write_shard(_tar(scratch, chosen), [episode], zstd_level=_ZSTD_LEVEL)
    tick()


def _tar(scratch: Path, chosen: _Chosen) -> Path:
    return scratch / f"{chosen.place:08d}.tar"


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
