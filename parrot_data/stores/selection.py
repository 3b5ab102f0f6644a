"""The kept ones of raw episodes, once it is certain that data and decision belong together."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from parrot_data.errors import UserError
from parrot_data.stores.kept import KEPT, KeptEpisodes, check_decision, load_kept
from parrot_data.stores.manifest import MANIFEST, EpisodesManifest, Sources, load_manifest
from parrot_data.stores.picked import Part, Picked
from parrot_data.stores.publish import sha256_file


@dataclass(frozen=True, eq=False)
class Selection:
    """The kept episodes of a folder of raw ones, in the order of the tars.

    Attributes:
        manifest: the folder's.
        decision: which of its episodes are kept.
        sources: hashes of both.
        picked: the episodes.
    """

    manifest: EpisodesManifest
    decision: KeptEpisodes
    sources: Sources
    picked: Picked


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
    check_decision(decision, manifest.entries(episodes), kept / KEPT)
    picked = Picked([Part(episodes, manifest, decision.is_kept)])
    return Selection(manifest, decision, sources, picked)
