"""Records: what lies beside data as JSON, strictly checked; the files that a record vouches for."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from parrot_data.errors import UserError
from parrot_data.stores.publish import sha256_file

_REMEDY = "run the stage that writes the folder again, or `dvc checkout`"


class Record(BaseModel):
    """JSON of a fixed form; unknown and missing keys and other types are errors."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid")


# Letters, digits and "_-." in parts between slashes, none of which is "." or "..": such a name
# means the same file on every system, and no file outside of its folder.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}(/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}){0,9}")


def is_plain_name(name: str) -> bool:
    """Whether a name means the same file inside a folder on every system."""
    return _NAME.fullmatch(name) is not None


def _plain_name(name: str) -> str:
    if not is_plain_name(name):
        raise ValueError(f"{name[:200]!r} is no plain name of a file inside the folder")
    return name


FileName = Annotated[str, AfterValidator(_plain_name)]
Count = Annotated[int, Field(ge=0, le=10**12)]


class FileEntry(Record):
    """A file of a dataset, by its name relative to the folder; size in bytes."""

    name: FileName
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    size: Count


def path_in(folder: Path, name: str) -> Path:
    """Path of a file of a dataset, by its name relative to the folder.

    Raises:
        UserError: it is missing, no plain file, or a link that leads out of the folder.
    """
    path = folder / name
    if not path.is_file():
        raise UserError(f"{path} is missing: {_REMEDY}.")
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(
            f"{path} is a link to {path.resolve()}, outside of the dataset: put a copy of that "
            "file there (with DVC: `dvc config cache.type copy`, then `dvc checkout --relink`)."
        )
    return path


def file_entry(folder: Path, path: Path) -> FileEntry:
    """The manifest's line for a file under the folder."""
    name = path.relative_to(folder).as_posix()
    return FileEntry(name=name, sha256=sha256_file(path), size=path.stat().st_size)


def check_file(folder: Path, file: FileEntry) -> None:
    """Compare a file's size and SHA-256 with the manifest's.

    Raises:
        UserError: it is missing, truncated or altered, or not in the folder (see `path_in`).
    """
    path = path_in(folder, file.name)
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
    what = first["msg"].removeprefix("Value error, ")
    what = f"{key}: {what}" if key else what
    return UserError(f"{path} is not as the stage writes it ({what}): run the stage again.")
