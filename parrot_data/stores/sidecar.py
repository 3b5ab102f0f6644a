"""What a format of others cannot hold of a dataset: a folder `parrot` beside what it holds.

With it, an import of the foreign files gives the same episodes to the last bit, or refuses. It has
`export.json`, the description of the dataset; the dataset's `episodes.jsonl`, a line an episode
with its content hash; and `NAME.rows.zst`, the rows that the format loses of an array, those of all
episodes after one another.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Annotated, Any, Literal

import numpy as np
import zstandard
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from parrot_data.episodes.episode import (
    METADATA_TYPES,
    ArrayForm,
    Episode,
    episode_from,
    forms_of,
)
from parrot_data.episodes.spec import EpisodeSpec
from parrot_data.errors import UserError
from parrot_data.stores.entries import ENTRIES, EpisodeEntry, count_entries, line_of, read_entries
from parrot_data.stores.manifest import BlockEntry, EpisodesManifest, Manifest
from parrot_data.stores.publish import json_text, read_json, write_json
from parrot_data.stores.records import (
    Count,
    FileEntry,
    Record,
    check_file,
    file_entry,
    parse_record,
)

FOLDER, DESCRIPTION = "parrot", "export.json"
MARKER = f"{FOLDER}/{DESCRIPTION}"
_FOREIGN = "import it as any foreign one: --without-sidecar, with --task and --success"
REMEDY = f"restore it, or leave it out and {_FOREIGN.replace('import it', 'import the file')}"
_SCHEMA_VERSION = 1
_ZSTD_LEVEL = 3
# Fields of a manifest that speak of its files: what an import writes instead.
_OF_FILES = {"kind", "files", "episodes", "num_episodes", "num_transitions", "statistics",
             "tar_shards", "zarr", "sources"}  # fmt: skip

Rows = Literal["all", "steps", "none"]
_ForeignName = Annotated[str, Field(min_length=1, max_length=1000)]


class Export(Record):
    """`export.json`.

    Attributes:
        format: of the foreign files, by its name on the command line.
        held: by array, whether the format holds all of its rows, the T of steps, or none.
        dataset: what the exported dataset's manifest says, but for its files.
        num_episodes: that were exported.
        episodes: the file of their entries.
        rest: by array, the file of the rows that the format does not hold.
        files: names of the foreign files, relative to the folder of the export.
    """

    schema_version: Literal[1] = 1
    format: str
    held: dict[str, Rows]
    dataset: dict[str, Any]
    num_episodes: Count
    episodes: FileEntry
    rest: dict[str, FileEntry]
    files: list[_ForeignName]


def num_rest(form: ArrayForm, held: Rows, num_steps: int) -> int:
    """How many rows of an array of an episode a format loses: they are the last ones."""
    if held == "none":
        return num_steps + form.num_extra
    return form.num_extra if held == "steps" else 0


class SidecarWriter:
    """Writes a sidecar, an episode at a time.

    Args:
        folder: of the sidecar, which is made.
        spec: of the episodes.
        held: see `Export`.
    """

    def __init__(self, folder: Path, spec: EpisodeSpec, held: Mapping[str, Rows]) -> None:
        self._folder, self._held = folder, dict(held)
        self._forms = forms_of(spec)
        self._stack = ExitStack()
        self._rest: dict[str, IO[bytes]] = {}
        self._num_episodes = 0
        folder.mkdir()
        self._lines = self._stack.enter_context((folder / ENTRIES).open("w", encoding="utf-8"))
        for name, form in self._forms.items():
            if num_rest(form, self._held[name], 1):
                self._rest[name] = self._opened(folder / _file_name(name))

    def _opened(self, path: Path) -> IO[bytes]:
        file = self._stack.enter_context(path.open("wb"))
        compressor = zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True)
        return self._stack.enter_context(compressor.stream_writer(file, closefd=False))

    def add(self, episode: Episode, entry: EpisodeEntry) -> None:
        """Write an episode's entry, and of its arrays what the format loses."""
        self._lines.write(line_of(entry))
        self._num_episodes += 1
        arrays = episode.arrays()
        for name, file in self._rest.items():
            array = arrays[name]
            count = num_rest(self._forms[name], self._held[name], episode.num_steps)
            file.write(np.ascontiguousarray(array[len(array) - count :]).tobytes())

    def close(
        self, format_: str, manifest: Manifest, params: Mapping[str, Any], files: Sequence[str]
    ) -> Export:
        """End the files, and describe them.

        Args:
            format_: name of the format.
            manifest: of the exported dataset.
            params: of the stages that made its episodes, by section.
            files: names of the foreign files.
        """
        self._stack.close()
        export = Export(
            format=format_,
            held=self._held,
            dataset={**_described(manifest), "params": dict(params)},
            num_episodes=self._num_episodes,
            episodes=file_entry(self._folder, self._folder / ENTRIES),
            rest={
                name: file_entry(self._folder, self._folder / _file_name(name))
                for name in self._rest
            },
            files=sorted(files),
        )
        write_json(self._folder / DESCRIPTION, _sealed(export))
        return export

    def abandon(self) -> None:
        """Close the files of an export that came to no end."""
        self._stack.close()


class Sidecar:
    """A sidecar that is read.

    Args:
        folder: its own.
        export: what it says.

    Attributes:
        folder: its own.
        export: what it says.
        spec: of the episodes.
    """

    def __init__(self, folder: Path, export: Export) -> None:
        self.folder, self.export = folder, export
        path = folder / DESCRIPTION
        try:
            self.spec = EpisodeSpec.model_validate(export.dataset.get("spec"))
        except ValidationError as error:
            raise UserError(f"{path} holds no spec of episodes: {REMEDY}.") from error
        self._forms = forms_of(self.spec)
        lost = {
            name
            for name, form in self._forms.items()
            if num_rest(form, export.held.get(name, "all"), 1)
        }
        if export.held.keys() != self._forms.keys() or export.rest.keys() != lost:
            raise UserError(f"{path} and its spec name other arrays: {REMEDY}.")

    def entries(self) -> Iterator[EpisodeEntry]:
        """Stream the entries, once it is certain that the sidecar is whole.

        Raises:
            UserError: a file of it is missing or was altered.
        """
        for file in self.export.rest.values():
            _checked(self.folder, file)
        _checked(self.folder, self.export.episodes)
        if count_entries(self.folder, self.export.episodes) != self.export.num_episodes:
            raise UserError(f"{self.folder / DESCRIPTION} counts other episodes: {REMEDY}.")
        return read_entries(self.folder, self.export.episodes)

    def manifest(self, files: Sequence[BlockEntry], episodes: FileEntry) -> EpisodesManifest:
        """The manifest of the same episodes in other files."""
        value = {
            **self.export.dataset,
            "num_episodes": self.export.num_episodes,
            "episodes": episodes.model_dump(),
            "files": [file.model_dump() for file in files],
        }
        return parse_record(EpisodesManifest, value, self.folder / DESCRIPTION)

    def episodes(
        self, found: Iterator[tuple[str, Mapping[str, NDArray[Any]]]]
    ) -> Iterator[Episode]:
        """The exported episodes, each from what the foreign file holds and the rest.

        Args:
            found: of each episode in turn, its name in the foreign file and the arrays held there.

        Raises:
            UserError: an episode is not the one that was exported, or there are more or fewer; the
                sentence names it.
        """
        entries = self.entries()
        with ExitStack() as stack:
            rest = {
                name: stack.enter_context(self._open(file.name))
                for name, file in self.export.rest.items()
            }
            for name, arrays in found:
                entry = next(entries, None)
                if entry is None:
                    raise self._edited(name, "is one more than were exported")
                yield self._episode(name, arrays, entry, rest)
            entry = next(entries, None)
            if entry is not None:
                raise self._edited(f"{entry.index}", "is no more in the exported file")

    def _open(self, name: str) -> Any:
        file = (self.folder / name).open("rb")
        return zstandard.ZstdDecompressor().stream_reader(file, closefd=True)

    def _episode(
        self,
        name: str,
        arrays: Mapping[str, NDArray[Any]],
        entry: EpisodeEntry,
        rest: Mapping[str, IO[bytes]],
    ) -> Episode:
        strange = sorted(arrays.keys() - self._forms.keys())
        if strange:
            raise self._edited(name, f"has {ascii(strange[0])[:100]}, which was not exported")
        whole = {}
        for each, form in self._forms.items():
            held = self.export.held[each]
            lost = num_rest(form, held, entry.num_steps)
            rows = [arrays[each]] if held != "none" and each in arrays else []
            if lost:
                rows.append(_read(rest[each], form, lost, self.folder))
            try:
                whole[each] = np.concatenate(rows, dtype=form.dtype, casting="no")
            except (ValueError, TypeError):
                raise self._edited(name, f"has other {each} than were exported") from None
        said = {key: getattr(entry, key) for key in METADATA_TYPES}
        try:
            episode = episode_from(said, whole, self.spec)
        except ValueError:
            raise self._edited(name, "is of other arrays than were exported") from None
        if episode.content_hash() != entry.content_hash:
            raise self._edited(name, "is not what was exported")
        return episode

    def _edited(self, name: str, how: str) -> UserError:
        return UserError(
            f"episode {name} {how}, by its sidecar {self.folder}: the file was changed since; "
            f"export it again, or {_FOREIGN}."
        )


def sidecar_of(source: Path, files: Sequence[Path]) -> Sidecar | None:
    """The sidecar of what is imported; None where it has none.

    Args:
        source: as the command names it: a foreign file, or a folder.
        files: those that decide what is imported.

    Raises:
        UserError: there is one, and it is damaged.
    """
    for place in (source, source.parent, source.parent.parent):
        folder = place / FOLDER
        if (folder / DESCRIPTION).is_file():
            export = load_export(folder)
            inside = (path for path in files if path.is_relative_to(place))
            if {path.relative_to(place).as_posix() for path in inside} & set(export.files):
                return Sidecar(folder, export)
    return None


def load_export(folder: Path) -> Export:
    """Read a sidecar's `export.json` and check that not one byte of it was altered.

    Raises:
        UserError: it is missing, of another version, or was altered.
    """
    path = folder / DESCRIPTION
    value = read_json(path)
    said = dict(value) if isinstance(value, dict) else {}
    said.pop("digest", None)
    if said.get("schema_version") != _SCHEMA_VERSION:
        raise UserError(f"{path} is no sidecar of this program's: {REMEDY}.")
    export = parse_record(Export, said, path)
    if path.read_bytes() != json_text(_sealed(export)).encode():
        raise UserError(f"{path} was altered after it was written: {REMEDY}.")
    return export


def _sealed(export: Export) -> dict[str, Any]:
    content = export.model_dump()
    return {**content, "digest": hashlib.sha256(json_text(content).encode()).hexdigest()}


def _described(manifest: Manifest) -> dict[str, Any]:
    return {key: value for key, value in manifest.model_dump().items() if key not in _OF_FILES}


def _file_name(array: str) -> str:
    return f"{array}.rows.zst"


def _checked(folder: Path, file: FileEntry) -> None:
    try:
        check_file(folder, file)
    except UserError as error:
        raise UserError(f"{folder / file.name} is missing or was altered: {REMEDY}.") from error


def _read(file: IO[bytes], form: ArrayForm, count: int, folder: Path) -> NDArray[Any]:
    """The next rows of a file of the rest; the entries say how many."""
    num_bytes = count * form.row_bytes
    plain = io.BytesIO()
    try:
        while plain.tell() < num_bytes and (part := file.read(num_bytes - plain.tell())):
            plain.write(part)
    except zstandard.ZstdError as error:
        raise UserError(f"{folder} is damaged ({error}): {REMEDY}.") from error
    if plain.tell() < num_bytes:
        raise UserError(f"{folder} ends too early: {REMEDY}.")
    return np.frombuffer(plain.getvalue(), form.dtype).reshape((count, *form.row))
