"""The kept ones of raw episodes, once it is certain that data and decision belong together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.kept import KEPT, KeptEpisodes, check_decision, load_kept
from parrot_data.stores.manifest import MANIFEST, EpisodesManifest, Sources, load_manifest
from parrot_data.stores.publish import sha256_file


@dataclass(frozen=True, eq=False)
class Selection:
    """The kept episodes of a folder of raw ones, in the order of the tars; they stream.

    Attributes:
        folder: of the raw episodes.
        manifest: the folder's.
        decision: which of its episodes are kept.
        sources: hashes of both.
    """

    folder: Path
    manifest: EpisodesManifest
    decision: KeptEpisodes
    sources: Sources

    def __len__(self) -> int:
        return len(self.decision.kept)

    def entries(self) -> Iterator[EpisodeEntry]:
        """What the manifest says of each."""
        wanted = set(self.decision.kept)
        return (entry for entry in self.manifest.entries(self.folder) if entry.index in wanted)

    def samples(self) -> Iterator[tuple[EpisodeEntry, tar_shards.Sample]]:
        """Their samples, still compressed, each with its entry.

        Raises:
            UserError: as `described_samples`.
        """
        wanted, tars = set(self.decision.kept), self.manifest.tar_paths(self.folder)
        entries = self.manifest.entries(self.folder)
        described = tar_shards.described_samples(tars, self.manifest.spec, entries)
        return ((entry, sample) for entry, sample in described if entry.index in wanted)

    def episodes(self) -> Iterator[Episode]:
        """The episodes themselves, each held against its entry.

        Raises:
            UserError: as `described_samples` and `decode_described`.
        """
        for entry, sample in self.samples():
            yield tar_shards.decode_described(entry, sample, self.manifest.spec)


def select(episodes: Path, kept: Path) -> Selection:
    """Load raw episodes' manifest and the decision of which to keep.

    Raises:
        UserError: one is missing or damaged, the decision was made for other episodes, or it names
            no episodes, unknown ones, or one twice; see `check_decision`.
    """
    manifest, decision = load_manifest(episodes, "episodes"), load_kept(kept)
    manifest_sha256 = sha256_file(episodes / MANIFEST)
    if decision.episodes_manifest_sha256 != manifest_sha256:
        raise UserError(
            f"{kept / KEPT} was made from other episodes than {episodes}: "
            f"run `parrot filter --episodes {episodes} --out {kept}` again."
        )
    sources = Sources(
        episodes_manifest_sha256=manifest_sha256, kept_sha256=sha256_file(kept / KEPT)
    )
    selection = Selection(episodes, manifest, decision, sources)
    check_decision(decision, manifest.entries(episodes), kept / KEPT)
    return selection
