"""Manifests: what a dataset folder holds, whence it came, and how to tell that it is whole.

What is said of each episode stands in a file of its own, which the manifest vouches for: a manifest
is read at once, entries stream.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, overload

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from parrot_data.episodes.episode import MAX_STEPS
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.entries import EpisodeEntry, count_entries, read_entries
from parrot_data.stores.publish import json_text, read_json, replace_synced
from parrot_data.stores.records import Count, FileEntry, FileName, Record, parse_record, path_in
from parrot_data.stores.statistics import DatasetStatistics

SCHEMA_VERSION = 4
MANIFEST = "manifest.json"


class BlockEntry(FileEntry):
    """A tar of raw episodes, whose indices ascend."""

    num_episodes: Count


Kind = Literal["episodes", "shards"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Parent(Record):
    """A dataset that another was edited from, and what was done to it.

    Attributes:
        sha256: of its manifest.json, which vouches for all the rest of it.
        kind: its kind.
        num_episodes: how many it held.
        seed: its seed.
        made_with: its params, by section: of what made it.
        edit: the command that edited it: "select", "split", "merge" or "append".
        params: of the edit.
    """

    sha256: Sha256
    kind: Kind
    num_episodes: Count
    seed: int
    made_with: dict[str, Any]
    edit: str
    params: dict[str, Any]


class Ancestor(Parent):
    """A parent of a parent, or of another ancestor.

    Attributes:
        child: SHA-256 of the manifest of what it was edited into.
    """

    child: Sha256


class _Dataset(Record):
    """What both kinds of manifest say.

    Attributes:
        params: of the stages that made the dataset, by section.
        seed: of `generate`.
        spec: what all of its episodes hold.
        episodes: the file of the entries, a line each.
        parents: the datasets that it was edited from; of none made by other stages.
        ancestors: those further back, nearest first: lineage outlives the folders it names.
    """

    schema_version: Literal[4] = 4
    params: dict[str, Any]
    seed: int
    spec: EpisodeSpec
    num_episodes: Count
    episodes: FileEntry
    parents: list[Parent] = Field(default_factory=list)
    ancestors: list[Ancestor] = Field(default_factory=list)

    @model_serializer(mode="wrap")
    def _without_empty(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """What was never edited says nothing of edits."""
        values: dict[str, Any] = dump(self)
        names = ("parents", "ancestors")
        return {key: value for key, value in values.items() if value or key not in names}

    def entries(self, folder: Path) -> Iterator[EpisodeEntry]:
        """Stream what is said of each episode, in their order; see `read_entries`.

        Raises:
            UserError: as `read_entries`, or there are not `num_episodes` of them (at once).
        """
        entries = read_entries(folder, self.episodes)
        found = count_entries(folder, self.episodes)
        if found != self.num_episodes:
            raise UserError(
                f"{folder / MANIFEST} says num_episodes {self.num_episodes}, but "
                f"{self.episodes.name} beside it lists {found}: run the stage again, or "
                "`dvc checkout`."
            )
        return entries


class EpisodesManifest(_Dataset):
    """Manifest of raw episodes, as `generate` leaves them."""

    kind: Literal["episodes"] = "episodes"
    files: list[BlockEntry]

    def tar_paths(self, folder: Path) -> list[Path]:
        """The tars, in the order of their episodes."""
        return [path_in(folder, file.name) for file in self.files]

    @model_validator(mode="after")
    def _check(self) -> EpisodesManifest:
        _check_names([self.episodes, *self.files])
        if sum(file.num_episodes for file in self.files) != self.num_episodes:
            raise ValueError("num_episodes is not the sum of its files'")
        return self


class Sources(Record):
    """Hashes of the files that a dataset of shards was made from."""

    episodes_manifest_sha256: str
    kept_sha256: str


class ShardsManifest(_Dataset):
    """Manifest of a training set, as `shard` leaves it; both stores hold `episodes`, in order.

    Attributes:
        sources: what it was sharded from; None where parents were sharded from different files.
    """

    kind: Literal["shards"] = "shards"
    num_transitions: Count
    statistics: DatasetStatistics
    files: list[FileEntry]
    tar_shards: list[FileName]
    zarr: FileName
    sources: Sources | None

    def tar_paths(self, folder: Path) -> list[Path]:
        """The tars, in the order of their episodes."""
        return [path_in(folder, name) for name in self.tar_shards]

    def entries(self, folder: Path) -> Iterator[EpisodeEntry]:
        """Stream what is said of each episode, in their order; see `read_entries`.

        Raises:
            UserError: as `read_entries`, or there are not `num_episodes` of them, or not of
                `num_transitions` steps together (at once).
        """
        found = sum(entry.num_steps for entry in super().entries(folder))
        if found != self.num_transitions:
            raise UserError(
                f"{folder / MANIFEST} says num_transitions {self.num_transitions}, but what "
                f"{self.episodes.name} beside it lists has {found}: run the stage again, or "
                "`dvc checkout`."
            )
        return super().entries(folder)

    @model_validator(mode="after")
    def _check(self) -> ShardsManifest:
        _check_names([self.episodes, *self.files])
        self.statistics.check(self.spec)
        if self.sources is None and not self.parents:
            raise ValueError("it names neither sources nor parents")
        in_zarr = f"{self.zarr}/"
        tars = [file.name for file in self.files if not file.name.startswith(in_zarr)]
        if sorted(tars) != sorted(self.tar_shards):
            raise ValueError("files are not those of tar_shards and zarr")
        if not self.num_episodes <= self.num_transitions <= self.num_episodes * MAX_STEPS:
            raise ValueError(
                f"{self.num_episodes} episodes cannot have {self.num_transitions} transitions"
            )
        return self


def _check_names(files: Sequence[FileEntry]) -> None:
    counts = Counter([MANIFEST, *(file.name for file in files)])
    name, count = counts.most_common(1)[0]
    if count > 1:
        raise ValueError(f"files name {name} more than once")


Manifest = EpisodesManifest | ShardsManifest


def files_of(manifest: Manifest) -> list[FileEntry]:
    """Every file that a manifest vouches for."""
    return [manifest.episodes, *manifest.files]


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, sealed by a digest of its own content, whole or not at all."""
    temporary = folder / f"{MANIFEST}.tmp"
    temporary.write_text(_sealed_text(manifest), encoding="utf-8")
    replace_synced(temporary, folder / MANIFEST)


@overload
def load_manifest(folder: Path, kind: Literal["episodes"]) -> EpisodesManifest: ...
@overload
def load_manifest(folder: Path, kind: Literal["shards"]) -> ShardsManifest: ...
def load_manifest(folder: Path, kind: Literal["episodes", "shards"]) -> Manifest:
    """Read a folder's manifest and check that not one byte of it was altered.

    Raises:
        UserError: it is missing, of another kind or schema version, invalid or altered.
    """
    manifest = load_any_manifest(folder)
    if manifest.kind != kind:
        writer = "generate" if kind == "episodes" else "shard"
        raise UserError(
            f"{folder / MANIFEST} describes {manifest.kind}, not {kind}: "
            f"name a folder that `parrot {writer}` wrote."
        )
    return manifest


def load_any_manifest(folder: Path) -> Manifest:
    """Read a folder's manifest, of whichever kind it is; see `load_manifest`."""
    path = folder / MANIFEST
    value = read_json(path)
    if not isinstance(value, dict) or value.get("kind") not in ("episodes", "shards"):
        raise UserError(f"{path} is no manifest of episodes or shards: name another folder.")
    version = value.get("schema_version")
    if version != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {str(version)[:20]}, this program reads "
            f"{SCHEMA_VERSION}: run the stage that writes it again."
        )
    value.pop("digest", None)
    manifest: Manifest
    if value["kind"] == "episodes":
        manifest = parse_record(EpisodesManifest, value, path)
    else:
        manifest = parse_record(ShardsManifest, value, path)
    if path.read_bytes() != _sealed_text(manifest).encode():
        raise UserError(f"{path} was altered after it was written: remake it, or `dvc checkout`.")
    return manifest


def _sealed_text(manifest: Manifest) -> str:
    content = manifest.model_dump()
    digest = hashlib.sha256(json_text(content).encode()).hexdigest()
    return json_text({**content, "digest": digest})
