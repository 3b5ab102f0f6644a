"""Manifests: what a dataset folder holds, whence it came, and how to tell that it is whole."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from pydantic import BaseModel, ConfigDict, ValidationError

from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.stores.publish import json_text, read_json, sha256_file
from parrot_data.stores.statistics import DatasetStatistics

SCHEMA_VERSION = 1
MANIFEST = "manifest.json"
KEPT = "kept.json"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class FileEntry(_Record):
    """A file of a dataset, by its name relative to the folder; size in bytes."""

    name: str
    sha256: str
    size: int


class BlockEntry(FileEntry):
    """A tar of raw episodes with contiguous indices."""

    num_episodes: int


class EpisodeEntry(_Record):
    """What can be said of an episode without opening it."""

    index: int
    task: str
    success: bool
    failure: str
    content_hash: str


class EpisodesManifest(_Record):
    """Manifest of raw episodes, as `generate` leaves them."""

    schema_version: Literal[1] = 1
    kind: Literal["episodes"] = "episodes"
    params: dict[str, Any]
    seed: int
    num_episodes: int
    files: list[BlockEntry]
    episodes: list[EpisodeEntry]

    def tar_paths(self, folder: Path) -> list[Path]:
        """The tars, in the order of their episodes."""
        return [folder / file.name for file in self.files]


class Sources(_Record):
    """Hashes of the files that a dataset of shards was made from."""

    episodes_manifest_sha256: str
    kept_sha256: str


class ShardsManifest(_Record):
    """Manifest of a training set, as `shard` leaves it; both stores hold `episodes`, in order."""

    schema_version: Literal[1] = 1
    kind: Literal["shards"] = "shards"
    params: dict[str, Any]
    seed: int
    num_episodes: int
    num_transitions: int
    statistics: DatasetStatistics
    files: list[FileEntry]
    tar_shards: list[str]
    zarr: str
    episodes: list[EpisodeEntry]
    sources: Sources

    def tar_paths(self, folder: Path) -> list[Path]:
        """The tars, in the order of their episodes."""
        return [folder / name for name in self.tar_shards]


Manifest = EpisodesManifest | ShardsManifest


class DroppedEpisode(_Record):
    """An episode left out: `reason` is "failed", "family_not_kept" or "over_limit"."""

    index: int
    task: str
    failure: str
    reason: str


class KeptEpisodes(_Record):
    """The decision of `filter`: indices kept, in order, and the episodes dropped."""

    params: dict[str, Any]
    kept: list[int]
    dropped: list[DroppedEpisode]
    episodes_manifest_sha256: str


def entry_of(episode: Episode) -> EpisodeEntry:
    """The manifest's line for an episode."""
    return EpisodeEntry(
        index=episode.index,
        task=episode.task,
        success=episode.success,
        failure=episode.failure,
        content_hash=episode.content_hash(),
    )


def file_entry(folder: Path, path: Path) -> FileEntry:
    """The manifest's line for a file under the folder."""
    name = path.relative_to(folder).as_posix()
    return FileEntry(name=name, sha256=sha256_file(path), size=path.stat().st_size)


def save_manifest(folder: Path, manifest: Manifest) -> None:
    """Write `manifest.json`, sealed by a digest of its own content, whole or not at all."""
    temporary = folder / f"{MANIFEST}.tmp"
    temporary.write_text(_sealed_text(manifest), encoding="utf-8")
    temporary.replace(folder / MANIFEST)


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
        manifest = _parse(EpisodesManifest, value, path)
    else:
        manifest = _parse(ShardsManifest, value, path)
    if path.read_text(encoding="utf-8") != _sealed_text(manifest):
        raise UserError(f"{path} was altered after it was written: remake it, or `dvc checkout`.")
    return manifest


def load_kept(folder: Path) -> KeptEpisodes:
    """Read the decision of `filter` from its folder.

    Raises:
        UserError: it is missing or invalid.
    """
    return _parse(KeptEpisodes, read_json(folder / KEPT), folder / KEPT)


_Model = TypeVar("_Model", bound=BaseModel)


def _parse(model: type[_Model], value: object, path: Path) -> _Model:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UserError(
            f"{path} is not as the stage writes it ({key}: {first['msg']}): run the stage again."
        ) from error


def _sealed_text(manifest: Manifest) -> str:
    content = manifest.model_dump()
    digest = hashlib.sha256(json_text(content).encode()).hexdigest()
    return json_text({**content, "digest": digest})
