"""Proof that a dataset is whole: every file, every byte, every episode in every store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.progress import Progress, silent
from parrot_data.stores import tar_shards
from parrot_data.stores.card_files import CARD, IMAGE, has_card
from parrot_data.stores.entries import entry_of
from parrot_data.stores.manifest import (
    MANIFEST,
    Manifest,
    ShardsManifest,
    files_of,
    load_any_manifest,
)
from parrot_data.stores.records import check_file
from parrot_data.stores.statistics import RunningStatistics
from parrot_data.stores.zarr_store import zarr_of

_REMEDY = "run the stage that writes the folder again, or `dvc checkout`"


def verify(folder: Path, *, progress: Progress = silent) -> Manifest:
    """Check a folder of episodes or shards against its manifest.

    Args:
        folder: where `generate` or `shard` left its result.
        progress: called after each episode in every store.

    Returns:
        The manifest, true to the last bit.

    Raises:
        UserError: names the first file that is missing, extra, truncated or altered, or the first
            episode whose content is not what the manifest says.
    """
    manifest = load_any_manifest(folder)
    _check_names(folder, manifest)
    for file in files_of(manifest):
        check_file(folder, file)
    tars = _in_tars(folder, manifest)
    stores: dict[str, Iterable[Episode]] = {"tar": tars}
    if manifest.kind == "shards":
        stores["tar"] = _check_statistics(folder, tars, manifest)
        stores[manifest.zarr] = zarr_of(folder, manifest)
    total = len(stores) * manifest.num_episodes
    for number, (store, episodes) in enumerate(stores.items()):
        for done in _check_contents(folder, store, episodes, manifest):
            progress(number * manifest.num_episodes + done, total, store)
    return manifest


def _check_names(folder: Path, manifest: Manifest) -> None:
    expected = {file.name for file in files_of(manifest)} | {MANIFEST}
    # A link is none of a stage's doing, whatever it leads to; and a folder only holds files.
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    for name in sorted(expected - found):
        raise UserError(f"{folder / name} is missing: {_REMEDY}.")
    # A card is no data, and may be edited
    card = {CARD, IMAGE} if has_card(folder) else set()
    for name in sorted(found - expected - card):
        raise UserError(f"{folder / name} is not in the manifest: move it out of the dataset.")


def _in_tars(folder: Path, manifest: Manifest) -> Iterator[Episode]:
    """Each episode of the tars, held against its entry."""
    tars, entries = manifest.tar_paths(folder), manifest.entries(folder)
    for entry, sample in tar_shards.described_samples(tars, manifest.spec, entries):
        yield tar_shards.decode_described(entry, sample, manifest.spec)


def _check_statistics(
    folder: Path, episodes: Iterable[Episode], manifest: ShardsManifest
) -> Iterator[Episode]:
    """Pass the episodes on, and compare their statistics with the manifest's in the end."""
    running = RunningStatistics(manifest.spec)
    for episode in episodes:
        running.add(episode)
        yield episode
    if running.result() != manifest.statistics:
        raise UserError(
            f"{folder}: the statistics of its episodes are not those of its manifest: {_REMEDY}."
        )


def _check_contents(
    folder: Path, store: str, episodes: Iterable[Episode], manifest: Manifest
) -> Iterable[int]:
    """Compare each episode with its entry, yielding how many were right so far."""
    entries, done = manifest.entries(folder), 0
    for episode in episodes:
        entry = next(entries, None)
        if entry_of(episode) != entry:
            raise UserError(
                f"{folder}: episode {episode.index}, at position {done} of the {store} store, is "
                f"not the one its manifest describes: {_REMEDY}."
            )
        done += 1
        yield done
    if done != manifest.num_episodes:
        raise UserError(
            f"{folder}: the {store} store holds {done} episodes where its manifest says "
            f"{manifest.num_episodes}: {_REMEDY}."
        )
