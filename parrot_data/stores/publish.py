"""Atomic results: a stage works in `<out>.partial` and one rename shows the finished folder."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from parrot_data.errors import UserError

FINGERPRINT = "fingerprint.json"
_READ_BYTES = 1 << 20
MAX_JSON_BYTES = 1 << 26  # of a file, at most: what stages write of half a million episodes
MAX_JSON_DEPTH = 64


def open_work(out: Path, fingerprint: Mapping[str, Any]) -> Path:
    """Create `<out>.partial`, or reopen it if the same work was begun there before.

    Args:
        out: the folder that `publish` will show at the end.
        fingerprint: JSON values that determine the result: the stage's params, its inputs' hashes.

    Returns:
        The work folder. Anything in it, but the fingerprint, was made for the same fingerprint.

    Raises:
        UserError: `out` is a file.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file: name a folder, or move the file away.")
    work, wanted = _beside(out, "partial"), json.loads(json.dumps(fingerprint))
    _mend_interrupted_publish(out, work, wanted)
    if work.exists() and _fingerprint_of(work) != wanted:
        # The fingerprint goes first: half a folder must not look like work to resume.
        (work / FINGERPRINT).unlink(missing_ok=True)
        shutil.rmtree(work)
    work.mkdir(parents=True, exist_ok=True)
    write_json(work / FINGERPRINT, wanted)
    return work


def publish(work: Path, out: Path) -> None:
    """Move the finished work folder onto `out`, without its fingerprint.

    An older result steps aside by one rename, the new one takes its place by the next, and only
    then is the old one removed: it is never lost. `open_work` mends a crash between these steps.
    """
    aside = _beside(out, "old.partial")
    if out.exists():
        if aside.exists():
            shutil.rmtree(aside)
        out.replace(aside)
    work.replace(out)
    (out / FINGERPRINT).unlink(missing_ok=True)
    if aside.exists():
        shutil.rmtree(aside)


def json_text(value: object) -> str:
    """The one spelling of a JSON value: sorted keys, indent 2, a newline at the end."""
    return json.dumps(value, sort_keys=True, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: object) -> None:
    """Write `json_text(value)`, whole or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    temporary.write_text(json_text(value), encoding="utf-8")
    temporary.replace(path)


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


def _mend_interrupted_publish(out: Path, work: Path, wanted: Any) -> None:
    aside = _beside(out, "old.partial")
    if not out.exists() and aside.exists():
        aside.replace(out)
    if not work.exists() and _fingerprint_of(out) == wanted:
        out.replace(work)


def _beside(out: Path, suffix: str) -> Path:
    return out.with_name(f"{out.name}.{suffix}")


def _fingerprint_of(work: Path) -> Any:
    """The fingerprint a work folder was begun with, None where a crash left none."""
    try:
        return json.loads((work / FINGERPRINT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
