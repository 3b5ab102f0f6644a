"""Records: what lies beside data as JSON, strictly checked; the files that a record vouches for."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from parrot_data.errors import UserError
from parrot_data.stores.publish import sha256_file

_REMEDY = "run the stage that writes the folder again, or `dvc checkout`"


class Record(BaseModel):
    """JSON of a fixed form; unknown and missing keys and other types are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


class FileEntry(Record):
    """A file of a dataset, by its name relative to the folder; size in bytes."""

    name: str
    sha256: str
    size: int


def file_entry(folder: Path, path: Path) -> FileEntry:
    """The manifest's line for a file under the folder."""
    name = path.relative_to(folder).as_posix()
    return FileEntry(name=name, sha256=sha256_file(path), size=path.stat().st_size)


def check_file(folder: Path, file: FileEntry) -> None:
    """Compare a file's size and SHA-256 with the manifest's.

    Raises:
        UserError: it is missing, truncated or altered.
    """
    path = folder / file.name
    if not path.is_file():
        raise UserError(f"{path} is missing: {_REMEDY}.")
    size = path.stat().st_size
    if size != file.size:
        raise UserError(f"{path} has {size} bytes where its manifest says {file.size}: {_REMEDY}.")
    if sha256_file(path) != file.sha256:
        raise UserError(f"{path} was altered: its SHA-256 is not its manifest's: {_REMEDY}.")


_Model = TypeVar("_Model", bound=BaseModel)


def parse_record(model: type[_Model], value: object, path: Path) -> _Model:
    """Make a record of what a file holds.

    Raises:
        UserError: it has another form; the sentence names the first key that is wrong.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        raise unlike(path, error) from error


def unlike(path: Path, error: ValidationError, *place: str) -> UserError:
    """What to tell of a file whose content has another form, at a place in it."""
    first = error.errors()[0]
    key = ".".join((*place, *(str(part) for part in first["loc"])))
    return UserError(
        f"{path} is not as the stage writes it ({key}: {first['msg']}): run the stage again."
    )
