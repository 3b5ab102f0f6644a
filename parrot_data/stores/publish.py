"""Files: JSON in one spelling, hashes, and what it takes for a write to be whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError

_READ_BYTES = 1 << 20
MAX_JSON_BYTES = 1 << 26  # of a file, at most: what stages write of half a million episodes
MAX_JSON_DEPTH = 64


def json_text(value: object) -> str:
    """The one spelling of a JSON value: sorted keys, indent 2, a newline at the end."""
    return json.dumps(value, sort_keys=True, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: object) -> None:
    """Write `json_text(value)`, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json_text(value), encoding="utf-8")
    replace_synced(temporary, path)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        UserError: the file is missing, holds no JSON, or such as no stage writes: too large, nested
            too deeply, or with a number that is not finite.
    """
    try:
        state = path.stat()
        if not stat.S_ISREG(state.st_mode):
            raise ValueError("it is no plain file")
        if state.st_size > MAX_JSON_BYTES:
            raise ValueError(f"it has more than {MAX_JSON_BYTES} bytes")
        return _parse_json(path.read_bytes())
    except FileNotFoundError:
        raise UserError(
            f"{path} is missing: run the stage that writes it, or `dvc checkout`."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{path} is not readable as JSON ({error}): restore or remake it."
        ) from None


def _parse_json(text: bytes) -> Any:
    try:
        value = json.loads(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    level = [value]
    for _ in range(MAX_JSON_DEPTH):
        level = [part for outer in level for part in _parts_of(outer)]
        if not level:
            return value
    raise ValueError("it is nested too deeply")


def _parts_of(value: object) -> Iterable[object]:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no number of JSON")
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's bytes, in hex."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sha256_sources(folder: Path) -> str:
    """SHA-256 over the names and bytes of a package's files, caches apart, in hex.

    Part of a fingerprint where half-done work must not be resumed by other code.
    """
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(f"{path.relative_to(folder)} {sha256_file(path)}\n".encode())
    return digest.hexdigest()


def replace_synced(temporary: Path, path: Path) -> None:
    """Rename a file over another once its bytes are on the disk: a power cut leaves one of them."""
    sync(temporary)
    temporary.replace(path)


def sync(path: Path) -> None:
    """Wait until the bytes of a file, or the names in a folder, are on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some disks cannot say it of a folder
            raise OSError(error.errno, error.strerror, str(path)) from None
    finally:
        os.close(descriptor)
