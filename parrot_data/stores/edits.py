"""Edits: new datasets of episodes that lie in others, which they name as their parents.

Episodes go over as they are, and so do their content hashes. An episode's index is part of that
hash, so no edit changes it: it stays the place of the episode in the run that recorded it. Within
an edited dataset it need not count from 0, and where datasets were merged several episodes may
have one index. What tells an episode is its content hash, or its place in its dataset.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from parrot_data.episodes.spec import EpisodeSpec, difference
from parrot_data.errors import UserError
from parrot_data.progress import Progress
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.manifest import (
    MANIFEST,
    Ancestor,
    Manifest,
    Parent,
    ShardsManifest,
    load_any_manifest,
)
from parrot_data.stores.origin import Origin
from parrot_data.stores.picked import Part, Picked
from parrot_data.stores.publish import sha256_file
from parrot_data.stores.shard_params import ShardParams
from parrot_data.stores.write_episodes import write_episodes
from parrot_data.stores.write_shards import write_shards


@dataclass(frozen=True, eq=False)
class Source:
    """A dataset to edit; it is only read.

    Attributes:
        folder: where it lies.
        manifest: the folder's.
        sha256: of the manifest's file.
    """

    folder: Path
    manifest: Manifest
    sha256: str

    def entries(self) -> Iterator[EpisodeEntry]:
        """What is said of each episode; see `read_entries`."""
        return self.manifest.entries(self.folder)

    def picked(self, is_picked: bytes) -> Part:
        """Some of its episodes, by place."""
        return Part(self.folder, self.manifest, is_picked)


def open_source(folder: Path) -> Source:
    """A dataset of either kind.

    Raises:
        UserError: as `load_any_manifest`.
    """
    return Source(folder, load_any_manifest(folder), sha256_file(folder / MANIFEST))


def origin_of(sources: Sequence[Source], edit: str, params: dict[str, Any]) -> Origin:
    """What the manifest of an edited dataset says of whence it came.

    Its own params are the sections in which all sources agree, and its seed is theirs, or 0 where
    they have several: each parent is named with its own.

    Args:
        sources: what was edited.
        edit: the command.
        params: of the edit.
    """
    first = sources[0].manifest
    made_with = {
        section: values
        for section, values in first.params.items()
        if all(source.manifest.params.get(section) == values for source in sources)
    }
    if first.kind == "shards" and "shard" in first.params:
        made_with["shard"] = first.params["shard"]  # the layout that `write_like` keeps to
    seeds = {source.manifest.seed for source in sources}
    parents = {
        source.sha256: Parent(
            sha256=source.sha256,
            kind=source.manifest.kind,
            num_episodes=source.manifest.num_episodes,
            seed=source.manifest.seed,
            made_with=source.manifest.params,
            edit=edit,
            params=params,
        )
        for source in sources
    }
    return Origin(
        made_with, seeds.pop() if len(seeds) == 1 else 0, list(parents.values()), _behind(sources)
    )


def _behind(sources: Sequence[Source]) -> list[Ancestor]:
    """Parents of the sources, then what is behind these; each step of the lineage once."""
    nearest = [
        Ancestor(**parent.model_dump(), child=source.sha256)
        for source in sources
        for parent in source.manifest.parents
    ]
    farther = [ancestor for source in sources for ancestor in source.manifest.ancestors]
    steps: dict[tuple[str, str], Ancestor] = {}
    for each in (*nearest, *farther):
        steps.setdefault((each.sha256, each.child), each)
    return list(steps.values())


def write_like(folder: Path, picked: Picked, origin: Origin, progress: Progress) -> Manifest:
    """Write episodes as a dataset of the kind, and in the layout, of the first they are picked of.

    Args:
        folder: where.
        picked: at least one, all of datasets of one kind and spec.
        origin: whence they came.
        progress: called after each episode, once a store.

    Raises:
        UserError: an episode is not what its own manifest says, or a manifest lacks its layout.
    """
    first = picked.parts[0].manifest
    if first.kind == "episodes":
        most = max(file.num_episodes for file in first.files)
        return write_episodes(folder, picked, most, origin, progress)
    layout = _layout_of(picked.parts[0].folder, first)
    found = [p.manifest.sources for p in picked.parts if isinstance(p.manifest, ShardsManifest)]
    sources = found[0] if all(each == found[0] for each in found) else None
    return write_shards(folder, picked, layout, origin, sources, progress)


def _layout_of(folder: Path, manifest: ShardsManifest) -> ShardParams:
    try:
        return ShardParams.model_validate(manifest.params.get("shard"))
    except ValidationError as error:
        raise UserError(
            f"{folder / MANIFEST} does not say in params.shard how its stores are laid out: run "
            "`parrot shard` again."
        ) from error


def spec_difference(ours: EpisodeSpec, theirs: EpisodeSpec) -> str:
    """The first field in which two specs differ at all, "" if none."""
    names = [n for n in EpisodeSpec.model_fields if getattr(ours, n) != getattr(theirs, n)]
    return difference(ours, theirs) or next(iter(names), "")
