"""A dataset as a command line names it: a folder, or PATH@REV for one as it was at a revision."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import tee
from pathlib import Path

from parrot_data.comparison.revision import Copy, folder_at
from parrot_data.episodes.episode import Episode
from parrot_data.errors import UserError
from parrot_data.stores import tar_shards
from parrot_data.stores.entries import EpisodeEntry
from parrot_data.stores.kept import KEPT
from parrot_data.stores.manifest import MANIFEST, Manifest, load_any_manifest
from parrot_data.stores.records import path_in

# The last @ parts them, but for those of git's own: main@{upstream}, HEAD@{1}.
_AT_REVISION = re.compile(r"(.+)@((?!\{)[^@]+(?:@\{[^{}]*\})?)")


@dataclass(frozen=True, eq=False)
class Dataset:
    """A dataset that can be read, file by file.

    Attributes:
        name: as it was given.
        folder: where its manifest and its entries lie.
        manifest: of it.
        tar: gives the path of a tar of it, by its name in the dataset, while the context lasts.
    """

    name: str
    folder: Path
    manifest: Manifest
    tar: Callable[[str], AbstractContextManager[Path]]

    def entries(self) -> Iterator[EpisodeEntry]:
        """What is said of each episode; see `Manifest.entries`."""
        return self.manifest.entries(self.folder)

    def episodes(self) -> Iterator[Episode]:
        """The episodes, each held against its entry; one tar at a time is there.

        Raises:
            UserError: a tar is missing or damaged, or its episodes are not those of the entries.
        """
        spec = self.manifest.spec
        entries, ahead = tee(self.entries())
        lengths = (entry.num_steps for entry in ahead)
        for name in tar_names(self.manifest):
            with self.tar(name) as path:
                for sample in tar_shards.read_samples([path], spec, lengths):
                    # There is one: of a sample beyond the last, the reader knows no length
                    yield tar_shards.decode_described(next(entries), sample, spec)
        entry = next(entries, None)
        if entry is not None:
            raise UserError(
                f"{self.name}: its tars end and lack episode {entry.index}, which its manifest "
                f"describes: {tar_shards.REMEDY}."
            )


def tar_names(manifest: Manifest) -> list[str]:
    """Names of a dataset's tars, in the order of their episodes."""
    if manifest.kind == "shards":
        return list(manifest.tar_shards)
    return [file.name for file in manifest.files]


@contextmanager
def open_dataset(named: Path) -> Iterator[Dataset]:
    """Open a dataset by its folder or, where there is none of that name, by PATH@REV.

    Raises:
        UserError: there is none, or what lies there is damaged or of another kind; see
            `load_any_manifest` and, of a revision, `folder_at`.
    """
    parts = _AT_REVISION.fullmatch(str(named))
    if named.exists() or parts is None:
        yield _dataset_in(named)
        return
    with (
        folder_at(Path(parts[1]), parts[2], MANIFEST) as copy,
        tempfile.TemporaryDirectory(prefix="parrot-") as temporary,
    ):
        folder = Path(temporary)
        try:
            yield _copied(str(named), folder, copy)
        except UserError as error:
            # Where the copy lies tells nobody anything
            raise UserError(str(error).replace(str(folder), str(named))) from error


def _dataset_in(folder: Path) -> Dataset:
    if (folder / KEPT).exists() and not (folder / MANIFEST).exists():
        raise UserError(
            f"{folder} is a decision of filter and holds no episodes: name the episodes that it "
            "was made of, or the shards that were made by it."
        )

    @contextmanager
    def tar(name: str) -> Iterator[Path]:
        yield path_in(folder, name)

    return Dataset(str(folder), folder, load_any_manifest(folder), tar)


def _copied(name: str, folder: Path, copy: Copy) -> Dataset:
    """A dataset of which the manifest and the entries are copied now, each tar when it is read."""
    copy(MANIFEST, folder / MANIFEST)
    manifest = load_any_manifest(folder)
    copy(manifest.episodes.name, folder / manifest.episodes.name)

    @contextmanager
    def tar(tar_name: str) -> Iterator[Path]:
        path = folder / Path(tar_name).name
        copy(tar_name, path)
        try:
            yield path
        finally:
            path.unlink()

    return Dataset(name, folder, manifest, tar)
