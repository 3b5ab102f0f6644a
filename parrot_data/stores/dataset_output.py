"""What the output folder of what makes a dataset looks like: its manifest lists the files."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any, Literal

from parrot_data.stores.card_files import card_files
from parrot_data.stores.manifest import MANIFEST
from parrot_data.stores.outputs.layout import Output, json_in


def dataset_output(
    stage: str, kind: Literal["episodes", "shards"], scratch: tuple[str, ...] = (), edit: str = ""
) -> Output:
    """The output of a stage whose manifest is of a kind; see `Output`.

    A folder with an altered manifest, or one of an earlier version, is such an output too: nothing
    in it is a user's, and the stage that is to mend it must be able to.

    Args:
        stage: its name.
        kind: of its manifest.
        scratch: see `Output`.
        edit: name of the edit that makes it, "" of what makes a dataset from nothing: what one of
            them made, no other replaces.
    """

    def files(folder: Path) -> Collection[str] | None:
        return files_of_dataset(folder, kind, edit)

    return Output(stage, MANIFEST, files, scratch)


def files_of_dataset(folder: Path, kind: str, edit: str) -> Collection[str] | None:
    """Names of a dataset's files, as `Output.files` has them."""
    manifest = json_in(folder / MANIFEST)
    if not isinstance(manifest, dict) or manifest.get("kind") != kind or _edit_of(manifest) != edit:
        return None
    listed = manifest.get("files")
    entries = [manifest.get("episodes"), *(listed if isinstance(listed, list) else ())]
    return {MANIFEST, *card_files(folder), *filter(None, map(_name_of, entries))}


def _edit_of(manifest: dict[str, Any]) -> str:
    parents = manifest.get("parents")
    parent = parents[0] if isinstance(parents, list) and parents else None
    return str(parent.get("edit")) if isinstance(parent, dict) else ""


def _name_of(entry: Any) -> str:
    name = entry.get("name") if isinstance(entry, dict) else None
    return name if isinstance(name, str) else ""
