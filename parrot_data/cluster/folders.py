"""Folders on their way between machines: packed into bytes, and unpacked once a node by content."""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from parrot_data.errors import UserError

_FILE_MODE = 0o644


@dataclass(frozen=True)
class Packed:
    """Files, as the bytes of a tar that are the same for the same names and contents.

    Attributes:
        sha256: of the bytes, in hex.
        data: the bytes.
    """

    sha256: str
    data: bytes

    def unpack(self, folder: Path) -> None:
        """Write the files into a folder, which is made.

        Raises:
            UserError: the bytes were altered on their way.
        """
        if hashlib.sha256(self.data).hexdigest() != self.sha256:
            raise UserError(
                f"what was sent for {folder} was altered on its way: give the same command again, "
                "and look after the network between the nodes"
            )
        folder.mkdir(parents=True, exist_ok=True)
        with tarfile.open(fileobj=io.BytesIO(self.data)) as tar:
            tar.extractall(folder, filter="data")


def packed(files: Mapping[str, bytes]) -> Packed:
    """Pack files, by their names with slashes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in sorted(files.items()):
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), _FILE_MODE
            tar.addfile(member, io.BytesIO(content))
    data = buffer.getvalue()
    return Packed(hashlib.sha256(data).hexdigest(), data)


def packed_folder(folder: Path) -> Packed:
    """Pack all files of a folder, links followed.

    Raises:
        UserError: it is missing.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is missing: run the stage that writes it, or `dvc checkout`.")
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return packed({path.relative_to(folder).as_posix(): path.read_bytes() for path in paths})


def node_folder() -> Path:
    """The folder of this user's on a node, for what was sent there; made if it is missing.

    Raises:
        UserError: it is another user's.
    """
    folder = Path(tempfile.gettempdir()).resolve() / f"parrot-nodes-{os.geteuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        raise UserError(f"{folder} is not this user's own: move it away, or set TMPDIR")
    return folder


def find_cached(sha256: str) -> Path | None:
    """The folder that `cached` made on this node for the files of this hash, None if it did not."""
    folder = _cached(sha256)
    return folder if folder.is_dir() else None


def cached(content: Packed) -> Path:
    """The folder on this node that holds these files and is only read, written if it is not there.

    Raises:
        UserError: the bytes were altered on their way.
    """
    folder = _cached(content.sha256)
    if not folder.is_dir():
        new = folder.with_name(f"{folder.name}.{uuid.uuid4().hex}")
        try:
            content.unpack(new)
            try:
                new.rename(folder)
            except OSError:  # another process of this node was faster
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(new, ignore_errors=True)
    return folder


def _cached(sha256: str) -> Path:
    return node_folder() / "sent" / sha256
