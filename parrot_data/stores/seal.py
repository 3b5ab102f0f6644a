"""A folder's seal: SHA256SUMS names the hash of its files, so that a changed byte is noticed.

The format is that of `sha256sum`: `sha256sum --check SHA256SUMS` in the folder says the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from parrot_data.errors import UserError
from parrot_data.stores.publish import sha256_file

SEAL = "SHA256SUMS"
_LINE = re.compile(r"([0-9a-f]{64})  ([^/\\]+)")


def seal(folder: Path, names: Iterable[str]) -> None:
    """Write the hashes of files that lie directly in a folder, in the order of their names."""
    lines = [f"{sha256_file(folder / name)}  {name}\n" for name in sorted(names)]
    (folder / SEAL).write_text("".join(lines), encoding="utf-8")


def is_sealed(folder: Path) -> bool:
    """Whether a folder has a seal at all."""
    return (folder / SEAL).is_file()


def check_seal(folder: Path, command: str) -> None:
    """See that a folder's files are what they were when it was sealed.

    Args:
        folder: a finished output.
        command: that makes it again, for errors.

    Raises:
        UserError: a file was changed or is missing, or there is no seal.
    """
    again = f"restore the folder (`dvc checkout --force`, `dvc pull`), or run `{command}` again"
    try:
        lines = (folder / SEAL).read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "not text"
        raise UserError(
            f"{folder / SEAL}, hashes of the files beside it, cannot be read ({reason}): {again}"
        ) from None
    for line in lines:
        matched = _LINE.fullmatch(line)
        if matched is None:
            raise UserError(f"{folder / SEAL} does not hold a hash and a name a line: {again}")
        _check_file(folder / matched[2], matched[1], again)


def _check_file(path: Path, wanted: str, again: str) -> None:
    try:
        found = sha256_file(path)
    except OSError as error:
        raise UserError(
            f"{path} cannot be read ({error.strerror}), but {SEAL} beside it names it: {again}"
        ) from None
    if found != wanted:
        raise UserError(
            f"{path} was changed after it was written: its SHA-256 is not the one in {SEAL} "
            f"beside it; {again}"
        )
