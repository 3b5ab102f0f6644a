"""Manifests: what a dataset folder holds, whence it came, and how to tell that it is whole.

What is said of each episode stands in a file of its own, which the manifest vouches for: a manifest
is read at once, entries stream.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, overload

from parrot_data.errors import UserError
from parrot_data.stores.entries import EpisodeEntry, read_entries
from parrot_data.stores.publish import json_text, read_json, replace_synced
from parrot_data.stores.records import FileEntry, Record, parse_record
from parrot_data.stores.statistics import DatasetStatistics

SCHEMA_VERSION = 3
MANIFEST = "manifest.json"


class BlockEntry(FileEntry):
    """A tar of raw episodes with contiguous indices."""

    num_episodes: int


class _Dataset(Record):
    """What both kinds of manifest say; `episodes` is the file of the entries, a line each."""

    schema_version: Literal[3] = 3
    params: dict[str, Any]
    seed: int
    num_episodes: int
    episodes: FileEntry

    def entries(self, folder: Path) -> Iterator[EpisodeEntry]:
        """Stream what is said of each episode, in their order; see `read_entries`."""
        return read_entries(folder, self.episodes)


class EpisodesManifest(_Dataset):
    """Manifest of raw episodes, as `generate` leaves them."""

    kind: Literal["episodes"] = "episodes"
    files: list[BlockEntry]

    def tar_paths(self, folder: Path) -> list[Path]:
        """The tars, in the order of their episodes."""
        return [folder / file.name for file in self.files]


class Sources(Record):
    """Hashes of the files that a dataset of shards was made from."""

    episodes_manifest_sha256: str
    kept_sha256: str


class ShardsManifest(_Dataset):
    """Manifest of a training set, as `shard` leaves it; both stores hold `episodes`, in order."""

    kind: Literal["shards"] = "shards"
    num_transitions: int
    statistics: DatasetStatistics
    files: list[FileEntry]
    tar_shards: list[str]
    zarr: str
    sources: Sources

    def tar_paths(self, folder: Path) -> list[Path]:
        """The tars, in the order of their episodes."""
        return [folder / name for name in self.tar_shards]


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
    if not isinstance(value, dict) or value.get("kind") not in {"episodes", "shards"}:
        raise UserError(f"{path} is no manifest of episodes or shards: name another folder.")
    if value.get("schema_version") != SCHEMA_VERSION:
        raise UserError(
            f"{path} has schema version {value.get('schema_version')}, this program reads "
            f"{SCHEMA_VERSION}: run the stage that writes it again."
        )
    value.pop("digest", None)
    manifest: Manifest
    if value["kind"] == "episodes":
        manifest = parse_record(EpisodesManifest, value, path)
    else:
        manifest = parse_record(ShardsManifest, value, path)
    if path.read_text(encoding="utf-8") != _sealed_text(manifest):
        raise UserError(f"{path} was altered after it was written: remake it, or `dvc checkout`.")
    return manifest


def _sealed_text(manifest: Manifest) -> str:
    content = manifest.model_dump()
    digest = hashlib.sha256(json_text(content).encode()).hexdigest()
    return json_text({**content, "digest": digest})
