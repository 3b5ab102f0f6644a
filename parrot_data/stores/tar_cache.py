"""A cache of tars that came from elsewhere: bounded, shared by processes, by content and not name.

It lies in a folder of the user's, and outlives the training: the next one finds there what it
needs. A tar is there whole or not at all, and is looked at again before it is lent.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from parrot_data.stores.publish import sha256_file

ROOM = "parrot-tar-"  # begins the names of folders in which tars are read
STALE_S = 86_400
_OWN = re.compile(r"[0-9a-f]{64}\.tar")


def default_folder() -> Path:
    """Where such caches lie for this user: below XDG_CACHE_HOME, or else ~/.cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "parrot" / "tars"


class TarCache:
    """Tars by their SHA-256; those not asked for the longest go first.

    Args:
        folder: where, made if need be; nothing in it but tars of its own is ever touched.
        most_bytes: of all tars in it.
    """

    def __init__(self, folder: Path, most_bytes: int) -> None:
        self.folder, self._most_bytes = folder, most_bytes
        folder.mkdir(parents=True, exist_ok=True)
        for room in folder.glob(f"{ROOM}*"):  # of processes that were killed
            with suppress(FileNotFoundError):
                if time.time() - room.stat().st_mtime > STALE_S:
                    shutil.rmtree(room, ignore_errors=True)

    def lend(self, sha256: str, path: Path) -> bool:
        """Put a tar under another name on the same disk, which stays when it goes from here.

        Returns:
            Whether it is here, every byte of it; if not, there is nothing under that name.
        """
        kept = self._place(sha256)
        try:
            os.link(kept, path)
        except FileNotFoundError:
            return False
        if sha256_file(path) == sha256:
            os.utime(path)
            return True
        path.unlink()
        kept.unlink(missing_ok=True)
        return False

    def keep(self, sha256: str, path: Path) -> None:
        """Keep a tar, whole and on the same disk; others go, until there is room for it.

        A larger one than there is ever room for is not kept.
        """
        size = path.stat().st_size
        if size > self._most_bytes:
            return
        self._make_room(size)
        with suppress(FileExistsError):  # another process was faster
            os.link(path, self._place(sha256))
        os.utime(path)

    def num_bytes(self) -> int:
        """Size of all tars in it."""
        return sum(size for _, size, _ in self._tars())

    def _place(self, sha256: str) -> Path:
        return self.folder / f"{sha256}.tar"

    def _make_room(self, size: int) -> None:
        tars = sorted(self._tars())
        excess = sum(each for _, each, _ in tars) + size - self._most_bytes
        for _, each, path in tars:
            if excess <= 0:
                return
            path.unlink(missing_ok=True)
            excess -= each

    def _tars(self) -> Iterator[tuple[int, int, Path]]:
        """When each was used last, its size and its path."""
        for path in self.folder.iterdir():
            with suppress(FileNotFoundError):  # another process has just removed it
                if _OWN.fullmatch(path.name):
                    state = path.stat()
                    yield state.st_mtime_ns, state.st_size, path
