"""The kept ones of raw episodes, once it is certain that data and decision belong together."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from parrot_data.errors import UserError
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.kept import KEPT, KeptEpisodes
from parrot_data.stores.manifest import MANIFEST, EpisodesManifest, Sources
from parrot_data.stores.publish import sha256_file


def check_sources(episodes: Path, kept: Path, decision: KeptEpisodes) -> Sources:
    """The inputs' hashes, once it is certain that they belong together.

    Raises:
        UserError: the decision was made for other episodes.
    """
    manifest_sha256 = sha256_file(episodes / MANIFEST)
    if decision.episodes_manifest_sha256 != manifest_sha256:
        raise UserError(
            f"{kept / KEPT} was made from other episodes than {episodes}: "
            f"run `parrot filter --episodes {episodes} --out {kept}` again."
        )
    return Sources(episodes_manifest_sha256=manifest_sha256, kept_sha256=sha256_file(kept / KEPT))


def kept_entries(
    source: EpisodesManifest, decision: KeptEpisodes, kept: Path
) -> list[EpisodeEntry]:
    """The manifest's entries of the kept episodes, in the order of the tars.

    Raises:
        UserError: the decision names no episodes, unknown ones, or one twice.
    """
    wanted = set(decision.kept)
    entries = [entry for entry in source.episodes if entry.index in wanted]
    if not entries or [entry.index for entry in entries] != decision.kept:
        raise UserError(
            f"{kept / KEPT}: its key kept must list indices of the episodes, ascending and each "
            "once: run `parrot filter` again."
        )
    return entries


def kept_samples(
    tars: list[Path], entries: list[EpisodeEntry]
) -> Iterator[tuple[EpisodeEntry, tar_shards.Sample]]:
    """Stream the samples of those entries, still compressed, each with its entry.

    Raises:
        UserError: the tars lack one of them, or one is missing, truncated or damaged.
    """
    by_key = {f"{entry.index:08d}": entry for entry in entries}
    num_found = 0
    for sample in tar_shards.read_samples(tars):
        if sample["__key__"] in by_key:
            num_found += 1
            yield by_key[sample["__key__"]], sample
    if num_found != len(entries):
        raise UserError(
            f"{tars[0].parent} lacks {len(entries) - num_found} of the episodes in its manifest: "
            "run `parrot generate` again, or `dvc checkout`."
        )
