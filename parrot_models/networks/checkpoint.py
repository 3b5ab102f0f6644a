"""Checkpoints: the state of a training in a file that is whole or not there, and proves it."""

from __future__ import annotations

import hashlib
import io
import logging
import os
from pathlib import Path
from typing import Any, BinaryIO, cast

import torch

from parrot_data.stores.proof import DamagedError, set_aside
from parrot_models.networks.device import on_host

_log = logging.getLogger(__name__)

_MAGIC = b"parrot checkpoint 1\n"
_HEADER_BYTES = len(_MAGIC) + 64 + 1  # the digest of all that follows, in hex, and a newline
_READ_BYTES = 1 << 20


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a state (numbers, strings and tensors, nested) over the last one, or not at all."""
    temporary = path.with_name(f"{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(bytes(_HEADER_BYTES))
        hashed = _Hashed(file)
        try:
            torch.save(on_host(state), cast(Any, hashed))
        except RuntimeError:
            if hashed.refusal is None:
                raise
            # Of a full disk torch says no more than that it wrote too few bytes.
            raise hashed.refusal from None
        file.seek(0)
        file.write(_header(hashed.digest.hexdigest()))
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def load_checkpoint(path: Path) -> dict[str, Any] | None:
    """The last state saved, on the CPU; None where there is none, or none that is whole.

    A damaged file is set aside, which is said in one sentence: the training begins without it.
    """
    if not path.exists():
        return None
    try:
        with path.open("rb") as file:
            _check(file)
            state = torch.load(cast(Any, _Payload(file)), map_location="cpu", weights_only=True)
            return cast(dict[str, Any], state)
    except DamagedError as error:
        kept = set_aside(path)
        _log.warning(
            "%s %s: it is set aside as %s, and its training begins anew.", path, error, kept
        )
        return None


def _header(digest: str) -> bytes:
    return _MAGIC + digest.encode() + b"\n"


def _check(file: BinaryIO) -> None:
    """Read a file through and hold it against its header."""
    header = file.read(_HEADER_BYTES)
    if not header:
        raise DamagedError("is empty")
    digest = hashlib.sha256()
    while block := file.read(_READ_BYTES):
        digest.update(block)
    if header != _header(digest.hexdigest()):
        raise DamagedError("is truncated or damaged")


class _Hashed(io.RawIOBase):
    """Passes on what is written, and hashes it; torch writes from the first byte to the last."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.digest = hashlib.sha256()
        self.refusal: OSError | None = None  # why the system did not take what was written

    def writable(self) -> bool:
        return True

    def write(self, block: Any) -> int:
        self.digest.update(block)
        try:
            return self._file.write(block)
        except OSError as error:
            self.refusal = error
            raise


class _Payload(io.RawIOBase):
    """What follows the header, as a file of its own."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.seek(0)

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._file.tell() - _HEADER_BYTES

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = _HEADER_BYTES if whence == os.SEEK_SET else 0
        return self._file.seek(offset + start, whence) - _HEADER_BYTES

    def readinto(self, buffer: Any) -> int:
        block = self._file.read(len(buffer))
        buffer[: len(block)] = block
        return len(block)
