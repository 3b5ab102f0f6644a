"""What of unfinished work is proven whole, and what becomes of the rest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from parrot_data.stores.publish import json_text, sha256_file, write_json


class DamagedError(Exception):
    """A file is not as it was written; says in what way, for a sentence that names the file."""


def write_sealed(path: Path, value: object) -> None:
    """Write JSON under a digest of its own content, whole or not at all."""
    write_json(path, {"value": value, "sha256": _digest_of(value)})


def read_sealed(path: Path) -> Any:
    """What `write_sealed` wrote.

    Raises:
        DamagedError: the file is missing, or not one byte as it was written.
    """
    try:
        text = path.read_text(encoding="utf-8")
        sealed = json.loads(text)
        value, digest = sealed["value"], sealed["sha256"]
    except FileNotFoundError:
        raise DamagedError("is missing") from None
    except (ValueError, KeyError, TypeError):
        raise DamagedError("is empty or damaged" if path.stat().st_size else "is empty") from None
    if digest != _digest_of(value) or text != json_text(sealed):
        raise DamagedError("was altered after it was written")
    return value


def digests_of(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """SHA-256 of files in a folder, by name: what `check_digests` will hold them against."""
    return {name: sha256_file(folder / name) for name in names}


def check_digests(folder: Path, digests: dict[str, str]) -> None:
    """Hold files against what `digests_of` said of them.

    Raises:
        DamagedError: one is missing or altered; the sentence names it.
    """
    for name, digest in digests.items():
        path = folder / name
        if not path.is_file():
            raise DamagedError(f"has lost {name}")
        if sha256_file(path) != digest:
            raise DamagedError(f"has an altered or truncated {name}")


def set_aside(path: Path) -> Path:
    """Take a damaged file out of the work folder it lies in, and keep it beside that.

    It may not stay, as all in the work folder is published in the end.

    Returns:
        Where it lies now: in `<out>.damaged.partial`, under its name or the next that is free.
    """
    work = path.parent
    folder = work.with_name(f"{work.name.removesuffix('.partial')}.damaged.partial")
    folder.mkdir(exist_ok=True)
    target, number = folder / path.name, 1
    while target.exists():
        number += 1
        target = folder / f"{path.name}.{number}"
    return path.rename(target)


def _digest_of(value: object) -> str:
    return hashlib.sha256(json_text(value).encode()).hexdigest()
